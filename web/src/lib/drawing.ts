/** Params that can be drawn on a picture, in fractions of its sides. */

import type { Json, Params, Schema } from './api/types';
import { fieldOf } from './schema/fields';
import { resolved } from './schema/references';

export interface Point {
  x: number;
  y: number;
}

export interface Rect {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Target {
  /** The name of the parameter; empty for an area that several parameters define together. */
  name: string;
  /** The server's name of the parameter. */
  title: string;
  kind: 'part' | 'point' | 'corners' | 'rectangles' | 'places';
  /** What the parameter may be; for an area, the params of the step. */
  schema: Schema;
}

type Parameter = Pick<Target, 'name' | 'kind'>;

export interface Size {
  width: number;
  height: number;
}

const PART = ['left', 'top', 'width', 'height', 'unit'];
const KINDS = new Set<string>(['point', 'corners', 'rectangles']);

export function targetsOf(schema: Schema): Target[] {
  const properties = Object.entries(schema.properties ?? {});
  const targets: Target[] = PART.every((name) => schema.properties?.[name]) ? [{ name: '', title: '', kind: 'part', schema }] : [];
  for (const [name, property] of properties) {
    const field = fieldOf(name, property, schema);
    const title = field.schema.title ?? name;
    if (field.kind === 'gravity') targets.push({ name, title, kind: 'places', schema: field.schema });
    const inner = [property, ...(property.anyOf ?? [])].map((option) => resolved(option, schema)['x-pixmill']?.widget);
    const kind = inner.find((widget) => widget !== undefined && KINDS.has(widget));
    if (kind) targets.push({ name, title, kind: kind as Target['kind'], schema: field.schema });
  }
  return targets;
}

const round = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits;
export const within = (value: number, low = 0, high = 1): number => Math.min(high, Math.max(low, value));
const isNumber = (value: Json | undefined): value is number => typeof value === 'number';

/** Return where an area is that has no position of its own: a focal point overrides the gravity. What draws the eye is not known here. */
function placed(params: Params, width: number, height: number): Point {
  const [focal] = pointsOf({ name: 'focal', kind: 'point' }, params);
  if (focal) return { x: within(focal.x - width / 2, 0, 1 - width), y: within(focal.y - height / 2, 0, 1 - height) };
  const gravity = String(params.gravity);
  const share = (low: string, high: string): number => (gravity.includes(low) ? 0 : gravity.includes(high) ? 1 : 0.5);
  return { x: (1 - width) * share('west', 'east'), y: (1 - height) * share('north', 'south') };
}

/** Return the rectangles in params. */
export function rectsOf({ name, kind }: Parameter, params: Params, size: Size): Rect[] {
  if (kind === 'rectangles') {
    const areas = params[name];
    return Array.isArray(areas) ? (areas as unknown as Rect[]).map((area) => ({ ...area })) : [];
  }
  const inPercent = params.unit === 'percent';
  const share = (value: Json | undefined, whole: number): number | undefined =>
    isNumber(value) ? within(value / (inPercent ? 100 : Math.max(1, whole))) : undefined;
  const [left, top] = [share(params.left, size.width), share(params.top, size.height)];
  const width = share(params.width, size.width) ?? 1 - (left ?? 0);
  const height = share(params.height, size.height) ?? 1 - (top ?? 0);
  const { x, y } = placed(params, width, height);
  return [{ left: left ?? x, top: top ?? y, width, height }];
}

export function pointsOf({ name, kind }: Parameter, params: Params): Point[] {
  const value = params[name];
  if (kind === 'corners') return Array.isArray(value) ? (value as unknown as Point[]).map((point) => ({ ...point })) : [];
  return value && typeof value === 'object' && !Array.isArray(value) ? [{ x: Number(value.x), y: Number(value.y) }] : [];
}

/** Return params with these rectangles. A drawn area is in percent, so that it fits each picture of a run. */
export function withRects({ name, kind }: Parameter, params: Params, rects: readonly Rect[]): Params {
  if (kind === 'rectangles') {
    const areas = rects.map(({ left, top, width, height }) => ({
      left: round(left, 3),
      top: round(top, 3),
      width: round(width, 3),
      height: round(height, 3),
    }));
    return { ...params, [name]: areas };
  }
  const [rect] = rects;
  if (!rect) return params;
  const rest = { ...params };
  // An aspect ratio would change the drawn area.
  delete rest.aspect_ratio;
  const percent = (share: number): number => round(share * 100, 1);
  return {
    ...rest,
    unit: 'percent',
    left: percent(rect.left),
    top: percent(rect.top),
    width: percent(rect.width),
    height: percent(rect.height),
  };
}

export function withPoints({ name, kind }: Parameter, params: Params, points: readonly Point[]): Params {
  const rounded = points.map(({ x, y }) => ({ x: round(x, 3), y: round(y, 3) }));
  const [first] = rounded;
  return { ...params, [name]: kind === 'corners' ? rounded : (first ?? null) };
}

/** Return the rectangle after moving a corner (0 is the upper left, then clockwise) to a point. */
export function withCorner(rect: Rect, corner: number, { x, y }: Point, least = 0.01): Rect {
  const [right, bottom] = [rect.left + rect.width, rect.top + rect.height];
  const isLeft = corner === 0 || corner === 3;
  const isTop = corner < 2;
  const left = isLeft ? within(x, 0, right - least) : rect.left;
  const top = isTop ? within(y, 0, bottom - least) : rect.top;
  return {
    left,
    top,
    width: (isLeft ? right : within(x, rect.left + least, 1)) - left,
    height: (isTop ? bottom : within(y, rect.top + least, 1)) - top,
  };
}

export const movedTo = (rect: Rect, left: number, top: number): Rect => ({
  ...rect,
  left: within(left, 0, 1 - rect.width),
  top: within(top, 0, 1 - rect.height),
});

export const cornersOf = ({ left, top, width, height }: Rect): Point[] => [
  { x: left, y: top },
  { x: left + width, y: top },
  { x: left + width, y: top + height },
  { x: left, y: top + height },
];
