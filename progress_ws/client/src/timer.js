/** One thing to be done later; arming it again puts the new thing in the old one's place. */
export class Timer {
  _id;

  arm(ms, action) {
    this.stop();
    this._id = setTimeout(action, ms);
  }

  stop() {
    clearTimeout(this._id);
  }
}
