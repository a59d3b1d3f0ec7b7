import { mount } from 'svelte';
import './app.css';
import App from './App.svelte';
import { loadLanguage } from './lib/i18n/languages';

const target = document.getElementById('app');
if (target) {
  await loadLanguage();
  mount(App, { target });
}
