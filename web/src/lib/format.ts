/** Formats numbers, sizes and times in the language of the page. */

import { i18n } from './i18n/i18n.svelte';

const UNITS = {
  en: ['B', 'kB', 'MB', 'GB', 'TB'],
  ru: ['Б', 'кБ', 'МБ', 'ГБ', 'ТБ'],
} as const;

export function bytes(size: number): string {
  let unit = 0;
  let amount = size;
  while (amount >= 1000 && unit < 4) {
    amount /= 1000;
    unit += 1;
  }
  return `${number(amount, amount >= 100 || unit === 0 ? 0 : 1)} ${UNITS[i18n.language][unit]}`;
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(i18n.language, { maximumFractionDigits: digits }).format(value);
}

export function percent(share: number): string {
  return new Intl.NumberFormat(i18n.language, { style: 'percent', maximumFractionDigits: 0 }).format(share);
}

export function time(date: string | number): string {
  return new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(date));
}

export function ago(date: number): string {
  const seconds = (date - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(i18n.language, { numeric: 'auto' });
  if (seconds > -60) return format.format(Math.round(seconds), 'second');
  if (seconds > -3600) return format.format(Math.round(seconds / 60), 'minute');
  if (seconds > -86_400) return format.format(Math.round(seconds / 3600), 'hour');
  return format.format(Math.round(seconds / 86_400), 'day');
}

export function duration(seconds: number): string {
  const unit = (amount: number, name: string): string =>
    new Intl.NumberFormat(i18n.language, { style: 'unit', unit: name, unitDisplay: 'short' }).format(amount);
  if (seconds < 60) return unit(Math.max(1, Math.round(seconds)), 'second');
  if (seconds < 3600) return unit(Math.round(seconds / 60), 'minute');
  if (seconds < 86_400) return unit(Math.round(seconds / 360) / 10, 'hour');
  return unit(Math.round(seconds / 8640) / 10, 'day');
}

/** `resize_fast` becomes `Resize fast`. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
