// The microphone as it is, and clear words where there is none.

const RATE = 16000; // what models hear; from there the browser resamples, with a low-pass
// Level and dynamics are what is recognised: nothing in the browser may even them out.
const AS_IT_IS = { autoGainControl: false, noiseSuppression: false, echoCancellation: false };
const PATIENCE_MS = 10000;

// Gives {rate, device, close()}; `onFrame` gets {samples, db, peak}, `onEnd` is called when the device is gone.
export async function openMicrophone(onFrame, onEnd) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  let context;
  const stop = async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context?.close();
  };
  try {
    const from = sourceAt(stream, RATE) ?? sourceAt(stream);
    context = from.context;
    await loadWorklet(context);
    const frames = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0 });
    let drained;
    frames.port.onmessage = ({ data }) => (data.done ? drained() : onFrame(data));
    from.source.connect(frames);
    stream.getTracks().forEach((track) => (track.onended = onEnd));
    const close = async () => {
      const tail = new Promise((resolve) => (drained = resolve));
      frames.port.postMessage("finish");
      await Promise.race([tail, after(500)]);
      await stop();
    };
    return { rate: context.sampleRate, device: stream.getAudioTracks()[0].label, close };
  } catch (error) {
    await stop(); // whatever went wrong, nobody listens
    throw error;
  }
}

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// From the server, anew each time: it may be gone, or not answer.
async function loadWorklet(context) {
  const late = after(PATIENCE_MS).then(() => Promise.reject());
  const loaded = context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
  await Promise.race([loaded.then(() => context.resume()), late]).catch(() => {
    throw Object.assign(new Error(), { name: "ServerError" });
  });
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
  "The browser allows the microphone only on pages of this machine or over HTTPS. Open the " +
  "page as http://localhost, or serve it over HTTPS. The File tab works as it is.";
const PROBLEMS = {
  ServerError: "The server does not answer. When it runs again, press the button once more.",
  NotAllowedError:
    "The browser did not allow the microphone. Allow it with the icon beside the address, then " +
    "press Start again. The File tab works without one.",
  NotFoundError: "There is no microphone. Plug one in, then press Start again.",
  NotReadableError: "Another program may be using the microphone. Close that, then press Start.",
};

export function microphoneProblem({ name, message }) {
  if (!window.isSecureContext) return INSECURE;
  return PROBLEMS[name] ?? `The microphone cannot be opened: ${message}`;
}
