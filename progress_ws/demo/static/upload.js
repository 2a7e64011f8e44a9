/** Asks any node for a session, for jobs, or for something to be done to one. */

/** Resolves with a new session's sid: whoever knows it may watch. */
export async function requestSession() {
  return (await answerTo("/api/v1/sessions", {})).sid;
}

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

/** Resolves with twenty jobs, each in a session of its own; `sid` is for what is done to them all. */
export function requestErrands(sid) {
  return answerTo("/demo/errands", { "X-Progress-Sid": sid });
}

/**
 * Resolves once a node has agreed to kill the worker of a job, or to have a lost job tried again.
 *
 * @param {string} id - of the job
 * @param {"kill" | "retry"} deed
 */
export async function requestDeed(id, deed, sid) {
  await answerTo(`/demo/jobs/${encodeURIComponent(id)}/${deed}`, { "X-Progress-Sid": sid });
}

async function answerTo(path, headers) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers });
  } catch {
    throw new Error("The server did not answer.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Error(answer.detail ?? `The server answered ${response.status}.`);
}
