// A recording to samples, as far as this browser can decode it.

const HEAD = 1 << 16; // bytes in which the rate is looked for
const RATE = 48000; // Hz, where a file does not tell its own: browsers resample to it well
const MP3_RATES = [44100, 48000, 32000]; // of MPEG 1; MPEG 2 has half of these, 2.5 a quarter
const UNREADABLE = "this browser cannot read the recording; convert it to WAV, FLAC, MP3 or Ogg";

// What the engine's worker hears: a WAV file as it is, all others as channels at their own rate.
export async function decoded(file) {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  if (named(head, 0, "RIFF") && named(head, 8, "WAVE")) return { wav: file };
  const rate = await rateOf(file, head);
  try {
    const context = new OfflineAudioContext(1, 1, rate);
    const audio = await context.decodeAudioData(await file.arrayBuffer());
    const all = Array.from({ length: audio.numberOfChannels }, (_, k) => audio.getChannelData(k));
    return { rate, channels: all };
  } catch {
    throw new Error(UNREADABLE);
  }
}

async function rateOf(file, head) {
  if (named(head, 0, "fLaC")) return (head[18] << 12) | (head[19] << 4) | (head[20] >> 4) || RATE;
  if (named(head, 0, "OggS")) {
    const at = head.findIndex((_, k) => named(head, k, "\x01vorbis"));
    return at < 0 ? RATE : new DataView(head.buffer).getUint32(at + 12, true);
  }
  return (await mp3Rate(file, head)) ?? RATE;
}

// The rate in the first header of a frame, behind the tag that may come first.
async function mp3Rate(file, head) {
  const sizes = [...head.subarray(6, 10)]; // of the tag, seven bits each
  const skip = named(head, 0, "ID3") ? 10 + sizes.reduce((sum, bits) => sum * 128 + bits, 0) : 0;
  const frames = new Uint8Array(await file.slice(skip, skip + HEAD).arrayBuffer());
  const at = frames.findIndex((one, k) => one === 0xff && (frames[k + 1] & 0xe6) === 0xe2);
  if (at < 0) return undefined;
  const version = (frames[at + 1] >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  return MP3_RATES[(frames[at + 2] >> 2) & 3] / { 3: 1, 2: 2, 0: 4 }[version] || undefined;
}

const named = (bytes, at, text) => [...text].every((char, k) => bytes[at + k] === char.charCodeAt(0));
