/** Brings a file to any node; `fetch` cannot tell how much of it has left. */

/**
 * Resolves with the answer to a request for a job.
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
