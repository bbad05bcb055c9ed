// Markdown to HTML, in a worker of its own: a text made to take for ever stops
// this worker and not the page.
import { Marked } from './vendor/marked.js';

const escape = (s) => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // A model's HTML is text, not a part of this page.
    html: (token) => escape(token.text),
    // An image would be loaded from another host; its address is a link.
    image: (token) => `<a href="${escape(token.href)}">${escape(token.text || token.href)}</a>`,
    checkbox: ({ checked }) => checked ? '☑ ' : '☐ ',
  },
});

onmessage = ({ data: { id, text } }) => {
  let html = null;
  try { html = marked.parse(text); } catch { /* shown as plain text */ }
  postMessage({ id, html });
};
