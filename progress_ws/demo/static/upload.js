/** Asks any node for a job, or for something to be done to one. */

/**
 * Resolves with the answer to a request for a job; `fetch` could not tell how much of a file has left.
 *
 * @param {object} options
 * @param {string} options.sid - the session that the job's progress is for
 * @param {File} [options.file] - absent: a sample is asked for
 * @param {string} [options.sample] - which one
 * @param {(loaded: number) => void} [options.onProgress] - bytes that have left so far
 */
export function requestJob({ sid, file, sample, onProgress }) {
  const request = new XMLHttpRequest();
  const query = sample ? `?${new URLSearchParams({ sample })}` : "";
  request.open("POST", `/demo/jobs${query}`);
  request.setRequestHeader("X-Progress-Sid", sid);
  if (file) {
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
  }
  request.responseType = "json";
  request.upload.onprogress = ({ loaded }) => onProgress?.(loaded);
  return new Promise((resolve, reject) => {
    request.onload = () => {
      const answer = request.response ?? {};
      if (request.status === 202) resolve(answer);
      else reject(new Error(answer.detail ?? `The server answered ${request.status}.`));
    };
    request.onerror = () => {
      reject(new Error("The upload was cut off: the server is away, or has no room for this file."));
    };
    request.send(file ?? null);
  });
}

/**
 * Resolves once a node has agreed to kill the worker of a job, or to have a lost job tried again.
 *
 * @param {string} key - of the job
 * @param {"kill" | "retry"} deed
 */
export async function requestDeed(key, deed, sid) {
  const id = key.replace(/^report-/, "");
  const headers = { "X-Progress-Sid": sid };
  const response = await fetch(`/demo/jobs/${encodeURIComponent(id)}/${deed}`, { method: "POST", headers });
  if (response.ok) return;
  const { detail } = await response.json().catch(() => ({}));
  throw new Error(detail ?? `The server answered ${response.status}.`);
}
