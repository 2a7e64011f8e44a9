const SID = /^[\w.~-]{16,128}$/;

export const isSid = (value) => typeof value === "string" && SID.test(value);

/** @throws TypeError whose text never shows the value: a sid is private. */
export const mustBeSid = (value) => {
  if (!isSid(value)) throw new TypeError("a sid is 16 to 128 characters of A-Z a-z 0-9 . _ ~ -");
};
