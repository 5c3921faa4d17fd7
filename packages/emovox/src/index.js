// emovox for JavaScript: recognise emotion in speech, in the browser and in Node.
//
//   import * as ort from "onnxruntime-web/wasm";
//   import { Recognizer } from "emovox";
//
//   const recognizer = await Recognizer.load("speech.onnx", { voice: "silero_vad.onnx", ort });
//   const { label, score } = await recognizer.predict(samples, 48000);

export { resampled } from "./audio.js";
export { Baseline } from "./baseline.js";
export * from "./errors.js";
export { summarise } from "./prediction.js";
export { Recognizer } from "./recognizer.js";
export { readWav } from "./wav.js";
