// The baseline of the user's voice in this browser's storage, as long as the user wants it there.

const KEY = "emovox.voice";

// A baseline fits only the model it was learned with. Storage may be switched off.
export function keptVoice(model) {
  try {
    const baseline = JSON.parse(localStorage.getItem(KEY));
    return baseline?.model === model ? baseline : null;
  } catch {
    return null;
  }
}

export function keepVoice(baseline) {
  try {
    if (baseline) localStorage.setItem(KEY, JSON.stringify(baseline));
    else localStorage.removeItem(KEY);
    return true;
  } catch {
    return false;
  }
}
