import "progress-ws/live";
import { createApp, ref } from "vue/dist/vue.esm-browser.prod.js"; // with the template compiler

const app = createApp({
  setup() {
    const node = "http://127.0.0.1:8080"; // behind one proxy it is location.origin
    const sid = ref(sessionStorage.sid); // the right to watch; kept for reloads
    const state = ref();

    async function start() {
      const answer = await fetch("/reports", { method: "POST" });
      sid.value = sessionStorage.sid = (await answer.json()).sid;
    }

    return { node, sid, state, start };
  },
});
app.config.compilerOptions.isCustomElement = (tag) => tag.startsWith("progress-");
app.mount("main");
