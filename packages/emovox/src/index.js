// emovox for JavaScript: recognise emotion in speech, in the browser and in Node.
//
//   import * as ort from "onnxruntime-web/wasm";
//   import { Recognizer } from "emovox";
//
//   const recognizer = await Recognizer.load("speech.onnx", { voice: "silero_vad.onnx", ort });
//   const { label, score } = await recognizer.predict(samples, 48000);

/** @typedef {import("./prediction.js").Prediction} Prediction */
/** @typedef {import("./prediction.js").Summary} Summary */
/** @typedef {import("./prosody.js").Prosody} Prosody */
/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./stream.js").Stream} Stream */
/** @typedef {import("./practice.js").Practice} Practice */

export { resampled } from "./audio.js";
export { Baseline } from "./baseline.js";
export * from "./errors.js";
export { summarise } from "./prediction.js";
export { measure } from "./prosody.js";
export { Recognizer } from "./recognizer.js";
export { readWav } from "./wav.js";
