/** The language of the page. */

import { en, type Messages } from './en';

export type Language = 'en' | 'ru';

class I18n {
  language = $state<Language>('en');
  t = $state.raw<Messages>(en);

  use(language: Language, messages: Messages): void {
    this.t = messages;
    this.language = language;
    document.documentElement.lang = language;
  }
}

export const i18n = new I18n();
