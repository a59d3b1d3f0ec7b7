import { mount } from 'svelte';
import './app.css';
import App from './App.svelte';
import { loadLanguage } from './lib/i18n/languages';

const target = document.getElementById('app');
// No await here: the texts of a language import this file, and would wait for its end.
if (target) void loadLanguage().then(() => mount(App, { target }));
