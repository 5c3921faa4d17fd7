// The microphone as it is, and clear words where there is none.

const RATE = 16000; // what models hear; from there the browser resamples, with a low-pass
// Level and dynamics are what is recognised: nothing in the browser may even them out.
const AS_IT_IS = { autoGainControl: false, noiseSuppression: false, echoCancellation: false };

// Gives {rate, close()}; `onFrame` gets {samples, db}, `onEnd` is called when the device is gone.
export async function openMicrophone(onFrame, onEnd) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  stream.getTracks().forEach((track) => (track.onended = onEnd));
  const { context, source } = sourceAt(stream, RATE) ?? sourceAt(stream);
  await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
  await context.resume();
  const frames = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0 });
  let drained;
  frames.port.onmessage = ({ data }) => (data.done ? drained() : onFrame(data));
  source.connect(frames);
  const close = async () => {
    const tail = new Promise((resolve) => (drained = resolve));
    frames.port.postMessage("finish");
    await Promise.race([tail, new Promise((resolve) => setTimeout(resolve, 500))]);
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  };
  return { rate: context.sampleRate, close };
}

// Firefox cannot resample a microphone: it then goes at its own rate, and the server resamples.
function sourceAt(stream, sampleRate) {
  const context = new AudioContext({ sampleRate });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    context.close();
    return null;
  }
}

const INSECURE =
  "The browser gives the microphone only to pages of this very machine or over HTTPS. Open the " +
  "page as http://localhost, or serve it over HTTPS. The File tab works as it is.";
const PROBLEMS = {
  NotAllowedError:
    "The browser did not allow the microphone. Allow it at the sign beside the address, then " +
    "press Start again. The File tab works without.",
  NotFoundError: "There is no microphone. Plug one in, then press Start again.",
  NotReadableError: "Another program may be using the microphone. Close that, then press Start.",
};

export function microphoneProblem({ name, message }) {
  if (!window.isSecureContext) return INSECURE;
  return PROBLEMS[name] ?? `The microphone cannot be opened: ${message}`;
}
