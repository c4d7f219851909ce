// Colours of the present theme, for what is drawn rather than styled.

let colours = null;

matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => (colours = null));

export function themed(name) {
  colours ??= getComputedStyle(document.documentElement);
  return colours.getPropertyValue(`--${name}`).trim();
}

// Makes a canvas as sharp as the screen and clears it; returns its size in its own pixels.
export function prepare(canvas) {
  const pixel = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * pixel);
  const height = Math.round(canvas.clientHeight * pixel);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").clearRect(0, 0, width, height);
  return { width, height, pixel };
}
