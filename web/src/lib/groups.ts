/** The groups of algorithms in the list of steps. Algorithms of plugins are in `other`. */

export const GROUPS: Record<string, readonly string[]> = {
  geometry: 'resize thumbnail crop flip rotate auto_orient pad extend trim round_corners border perspective crop_faces tile'.split(' '),
  color:
    'grayscale brightness contrast saturation hue gamma levels curves equalize white_balance tint duotone sepia invert threshold posterize lut to_colorspace'.split(' '),
  detail: 'blur sharpen denoise pixelate edges emboss convolve vignette noise upscale blur_faces'.split(' '),
  composing: 'watermark overlay montage animate'.split(' '),
  encoding: 'convert optimize strip_metadata'.split(' '),
  analysis: 'info histogram dominant_colors blurhash phash compare exif'.split(' '),
};

export function groupOf(name: string): string {
  return Object.entries(GROUPS).find(([, names]) => names.includes(name))?.[0] ?? 'other';
}
