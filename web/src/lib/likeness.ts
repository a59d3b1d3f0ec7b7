/** The similarity (SSIM) of two pictures' brightness at a small size: enough to judge the effect of a quality. */

const SIDE = 384;
const WINDOW = 8;
const STEP = 4;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

function brightness(image: CanvasImageSource, width: number, height: number): Float64Array {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('no canvas');
  // The background of transparent pixels, so that two transparent pictures are equal.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Float64Array.from({ length: width * height }, (_, at) => {
    const byte = at * 4;
    return 0.299 * (data[byte] ?? 0) + 0.587 * (data[byte + 1] ?? 0) + 0.114 * (data[byte + 2] ?? 0);
  });
}

/** Return null if the pictures have different aspect ratios, because pixels then have no counterpart. */
export async function likeness(before: string, after: HTMLImageElement): Promise<number | null> {
  const original = new Image();
  original.src = before;
  await original.decode();
  const ratio = after.naturalWidth / after.naturalHeight;
  if (Math.abs(original.naturalWidth / original.naturalHeight / ratio - 1) > 0.01) return null;
  const width = Math.max(WINDOW, Math.round(ratio >= 1 ? SIDE : SIDE * ratio));
  const height = Math.max(WINDOW, Math.round(ratio >= 1 ? SIDE / ratio : SIDE));
  return ssim(brightness(original, width, height), brightness(after, width, height), width, height);
}

function ssim(first: Float64Array, second: Float64Array, width: number, height: number): number {
  let sum = 0;
  let windows = 0;
  for (let top = 0; top + WINDOW <= height; top += STEP) {
    for (let left = 0; left + WINDOW <= width; left += STEP) {
      let [a, b, aa, bb, ab] = [0, 0, 0, 0, 0];
      for (let y = top; y < top + WINDOW; y += 1) {
        for (let x = left; x < left + WINDOW; x += 1) {
          const [p, q] = [first[y * width + x] ?? 0, second[y * width + x] ?? 0];
          a += p;
          b += q;
          aa += p * p;
          bb += q * q;
          ab += p * q;
        }
      }
      const n = WINDOW * WINDOW;
      const [ma, mb] = [a / n, b / n];
      const [va, vb, cov] = [aa / n - ma * ma, bb / n - mb * mb, ab / n - ma * mb];
      sum += ((2 * ma * mb + C1) * (2 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
      windows += 1;
    }
  }
  return sum / windows;
}
