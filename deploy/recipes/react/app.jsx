import "progress-ws/live";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const NODE = "http://127.0.0.1:8080"; // behind one proxy it is location.origin

function Report() {
  const [sid, setSid] = useState(sessionStorage.sid); // the right to watch; kept for reloads
  const [state, setState] = useState();

  async function start() {
    const answer = await fetch("/reports", { method: "POST" });
    sessionStorage.sid = (await answer.json()).sid;
    setSid(sessionStorage.sid);
  }

  return (
    <>
      <button disabled={state === "running"} onClick={start}>
        Make the report
      </button>
      {sid && (
        <progress-live
          src={NODE}
          sid={sid}
          bar="report"
          onstatechange={({ detail }) => setState(detail.state)}
        />
      )}
      {state === "done" && <p>It is ready.</p>}
    </>
  );
}

createRoot(document.querySelector("main")).render(<Report />);
