/** Plural forms of a noun by the language's rules (Unicode CLDR). */

export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

export function pluralizer(language: string): (count: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  return (count, forms) => (forms[rules.select(count)] ?? forms.other).replace('#', numbers.format(count));
}
