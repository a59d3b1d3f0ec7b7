/** The choice of the language: the stored one, or the first of the browser's languages that the page supports. */

import { part } from '../latest';
import { keep, kept } from '../storage';
import { tell } from '../tell';
import { en } from './en';
import { i18n, type Language } from './i18n.svelte';

/** Show the page in a language; return whether that was possible, and show a message if it was not. */
async function use(language: Language): Promise<boolean> {
  try {
    i18n.use(language, language === 'ru' ? (await part(() => import('./ru'))).ru : en);
    return true;
  } catch (caught) {
    tell(caught);
    return false;
  }
}

export async function chooseLanguage(language: Language): Promise<void> {
  if (await use(language)) keep('language', language);
}

/** Begin in the user's language, or in English if its texts cannot be fetched. */
export async function loadLanguage(): Promise<void> {
  const wanted = navigator.languages.find((tag) => /^(en|ru)\b/.test(tag)) ?? 'en';
  await use(kept<Language>('language', wanted.startsWith('ru') ? 'ru' : 'en'));
}
