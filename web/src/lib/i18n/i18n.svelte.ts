/** The language of the page: the stored one, or the first of the browser's languages that the page supports. */

import { keep, kept } from '../storage';
import { en, type Messages } from './en';

export type Language = 'en' | 'ru';

class I18n {
  language = $state<Language>('en');
  t = $state.raw<Messages>(en);

  async use(language: Language): Promise<void> {
    this.t = language === 'ru' ? (await import('./ru')).ru : en;
    this.language = language;
    document.documentElement.lang = language;
  }

  async choose(language: Language): Promise<void> {
    keep('language', language);
    await this.use(language);
  }
}

export const i18n = new I18n();

export function loadLanguage(): Promise<void> {
  const wanted = navigator.languages.find((tag) => /^(en|ru)\b/.test(tag)) ?? 'en';
  return i18n.use(kept<Language>('language', wanted.startsWith('ru') ? 'ru' : 'en'));
}
