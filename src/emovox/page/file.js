// The file tab: a recording to the server and back, its waveform, segments that play.

import { Chart } from "./chart.js";
import { DeviceRequest, hearsHere } from "./device.js";
import { $, Bars, element, notice, offerDownloads, offerPicture, percent, resultRow, seconds } from "./results.js";
import { keptVoice } from "./voice.js";

const DRAWN_S = 45 * 60; // a browser unpacks a whole recording at once to draw it
const PEAKS = 4000;
const RATE = 16000;

export class Recording {
  constructor(model, token) {
    Object.assign(this, { model, token });
    this.bars = new Bars($("file-bars"), model.labels);
    $("choose").addEventListener("change", ({ target }) => this.open(target.files[0]));
    $("choose").addEventListener("click", ({ target }) => (target.value = "")); // the same again
    for (const id of ["separate", "use-voice"])
      $(id).addEventListener("change", () => this.open(this.file)); // again, as is wished now
    $("cancel").addEventListener("click", () => this.cancel());
    $("player").addEventListener("timeupdate", () => this.follow());
    $("player").addEventListener("error", () => ($("player").hidden = true));
    const picture = () => ({ name: this.name, picture: Chart.picture(this.charts) });
    offerPicture($("file-name").closest(".card"), picture);
    offerDownloads($("file-results").querySelector(".card:last-child"), () => this.download());
    $("drop").ondragover = $("drop").ondragleave = $("drop").ondrop = (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", event.type === "dragover");
      if (event.type === "drop") this.open(event.dataTransfer.files[0]);
    };
  }

  async open(file) {
    if (!file) return;
    this.cancel();
    this.file = file;
    notice("file-problem", "");
    $("file-results").hidden = true;
    $("progress").hidden = false;
    let request = await this.send(file);
    if (request.status === 415 && request === this.request) {
      const wav = await asWav(file); // what the server cannot read this browser may
      if (wav && request === this.request) request = await this.send(wav);
    }
    if (request !== this.request) return; // cancelled, or another one came
    if (request.status === 200) await this.show(file, JSON.parse(request.responseText));
    else notice("file-problem", refusal(request));
    if (request === this.request) $("progress").hidden = true;
  }

  cancel() {
    const { request } = this;
    this.request = this.file = undefined;
    request?.abort();
    $("progress").hidden = true;
  }

  send(file) {
    return hearsHere() ? this.hear(file) : this.upload(file);
  }

  hear(file) {
    const baseline = $("use-voice").checked && keptVoice(this.model.fingerprint);
    $("progress-words").textContent = "Listening to it…";
    $("progress-bar").removeAttribute("value");
    const onProgress = (share) => ($("progress-bar").value = share);
    const options = { baseline, separate: $("separate").checked, onProgress };
    return (this.request = new DeviceRequest(file, options)).done;
  }

  upload(file) {
    const form = new FormData();
    form.append("file", file, "recording");
    const voice = $("use-voice").checked && keptVoice(this.model.fingerprint);
    if (voice) form.append("baseline", JSON.stringify(voice));
    const channels = $("separate").checked ? "separate" : "mix";
    const request = (this.request = new XMLHttpRequest()); // fetch tells no progress of an upload
    request.open("POST", `v1/predict?segments=true&channels=${channels}`);
    if (this.token) request.setRequestHeader("Authorization", `Bearer ${this.token}`);
    $("progress-words").textContent = `Sending ${this.file.name}…`;
    request.upload.onprogress = ({ loaded, total }) => ($("progress-bar").value = loaded / total);
    request.upload.onload = () => {
      $("progress-words").textContent = "Listening to it…";
      $("progress-bar").removeAttribute("value");
    };
    request.send(form);
    return new Promise((resolve) => (request.onloadend = () => resolve(request)));
  }

  async show(file, answer) {
    Object.assign(this, { answer, name: file.name, until: undefined });
    const { segments, summary, warning = "" } = answer;
    notice("file-problem", warning); // a recording that is cut off or damaged
    segments.sort((a, b) => a.start - b.start); // not channel after channel
    const best = Object.entries(summary.shares).sort((a, b) => b[1] - a[1])[0];
    const among = answer.summaries ? "of speech on all channels" : "of them speech"; // at the same time
    const speech = segments.length
      ? `${seconds(summary.speech_seconds)} ${among}, mostly ${best[0]} (${percent(best[1])})`
      : "and no speech in them";
    $("file-name").textContent = file.name;
    $("summary").textContent =
      `${seconds(answer.seconds)}, ${speech}. Took ${Math.round(answer.compute_ms)} ms.`;
    $("spoken").textContent = $("summary").textContent;
    this.bars.show(summary.shares, best?.[0]);
    $("file-uncertain").textContent = segments.length
      ? `The model is uncertain of ${percent(summary.uncertain)} of the speech, where its best guess counts.`
      : "";
    const rows = segments.map((one) => resultRow(one, (segment) => this.play(segment)));
    $("file-results").querySelector("tbody").replaceChildren(...rows);
    URL.revokeObjectURL($("player").src);
    Object.assign($("player"), { hidden: false, src: URL.createObjectURL(file) });
    $("file-results").hidden = false;
    $("progress-words").textContent = "Drawing…";
    const peaks = answer.seconds < DRAWN_S ? await waveforms(file) : [];
    if (answer === this.answer) this.draw(peaks);
  }

  draw(peaks) {
    $("no-wave").hidden = peaks.length > 0;
    $("charts").replaceChildren();
    const { segments, seconds: to } = this.answer;
    const channels = [...new Set(segments.map(({ channel }) => channel))].sort();
    this.charts = channels.map((channel) => {
      const title = channel === undefined ? "" : `Channel ${channel + 1}`;
      const canvas = Object.assign(element("canvas"), { role: "img" });
      canvas.ariaLabel = `${title} Segments over time; the table below holds the same.`;
      $("charts").append(element("p", "small", title), canvas);
      const chart = new Chart(canvas, this.model.labels, (segment) => this.play(segment));
      const mine = segments.filter((one) => one.channel === channel);
      chart.show({ from: 0, to, segments: mine, waveform: peaks[channel ?? 0] });
      return chart;
    });
  }

  play({ start, end }) {
    this.until = end;
    $("player").currentTime = start;
    $("player").play();
  }

  follow() {
    const playhead = $("player").currentTime;
    this.charts?.forEach((chart) => chart.show({ playhead }));
    if (!(playhead >= this.until)) return;
    $("player").pause();
    this.until = undefined;
  }

  download() {
    const { segments, summary, model } = this.answer;
    const { name, labels } = this.model;
    const facts = { file: this.name, name, model, labels, summary };
    return { name: this.name, predictions: segments, facts };
  }
}

function refusal({ status, responseText }) {
  if (!status) return "The server does not answer. Is it running? Then try again.";
  const busy = status === 429 || status === 503;
  const words = busy ? "The server is busy, try again" : "The recording was refused";
  try {
    const { message } = JSON.parse(responseText).error;
    return `${words}: ${message.replace(/^the recording: /, "").replace(/\.$/, "")}.`;
  } catch {
    return `${words} (${status}).`; // not by emovox, but by something in front of it
  }
}

// The recording as this browser decodes it: a WAV file at 16 kHz, which is all that the server hears
// of it. Null where the browser cannot read it either.
async function asWav(file) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const audio = await context.decodeAudioData(await file.arrayBuffer()).catch(() => null);
  if (!audio) return null;
  const { length, numberOfChannels: n } = audio;
  const view = new DataView(new ArrayBuffer(44 + 2 * n * length));
  const words = (at, text) => [...text].forEach((c, k) => view.setUint8(at + k, c.charCodeAt(0)));
  words(0, "RIFF");
  view.setUint32(4, 36 + 2 * n * length, true);
  words(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  [1, n].forEach((value, k) => view.setUint16(20 + 2 * k, value, true)); // whole numbers
  [RATE, 2 * n * RATE].forEach((value, k) => view.setUint32(24 + 4 * k, value, true));
  [2 * n, 16].forEach((value, k) => view.setUint16(32 + 2 * k, value, true));
  words(36, "data");
  view.setUint32(40, 2 * n * length, true);
  for (let channel = 0; channel < n; channel++)
    audio.getChannelData(channel).forEach((value, k) => {
      const sample = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
      view.setInt16(44 + 2 * (k * n + channel), sample, true);
    });
  return new Blob([view], { type: "audio/wav" });
}

// The peaks of each channel; none where this browser cannot read the recording.
async function waveforms(file) {
  const context = new OfflineAudioContext(1, 1, 8000);
  const audio = await context.decodeAudioData(await file.arrayBuffer()).catch(() => null);
  return Array.from({ length: audio?.numberOfChannels ?? 0 }, (_, channel) => {
    const peaks = new Float32Array(PEAKS);
    audio.getChannelData(channel).forEach((value, k) => {
      const place = Math.floor((k / audio.length) * PEAKS);
      peaks[place] = Math.max(peaks[place], Math.abs(value));
    });
    const loudest = Math.max(0.05, ...peaks);
    return peaks.map((peak) => peak / loudest);
  });
}
