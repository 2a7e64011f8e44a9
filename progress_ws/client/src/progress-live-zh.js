/** The Chinese texts of `<progress-live>`, loaded for readers of Chinese only. */

const simplified = {
  lang: "zh-CN",
  progress: "进度",
  waiting: "等待消息",
  queued: "排队中",
  running: "进行中",
  done: "已完成",
  failed: "失败",
  cancelled: "已取消",
  stalled: "已有 {time}没有消息",
  count: "{current} / {total}",
  rate: "{amount}/秒",
  left: "剩余 {time}",
  attempt: "第 {n} 次尝试",
  more: "另有 {n} 项",
  cancel: "取消",
  cancelling: "正在取消…",
  nobody: "没有接收方",
};

const traditional = {
  lang: "zh-TW",
  progress: "進度",
  waiting: "等待訊息",
  queued: "排隊中",
  running: "進行中",
  done: "已完成",
  failed: "失敗",
  cancelled: "已取消",
  stalled: "已有 {time}沒有訊息",
  count: "{current} / {total}",
  rate: "{amount}/秒",
  left: "剩餘 {time}",
  attempt: "第 {n} 次嘗試",
  more: "另有 {n} 項",
  cancel: "取消",
  cancelling: "正在取消…",
  nobody: "沒有接收方",
};

/** The texts for a reader of this language: simplified, or traditional (zh-TW, zh-HK, zh-Hant). */
export default function texts(lang) {
  try {
    return new Intl.Locale(lang).maximize().script === "Hant" ? traditional : simplified;
  } catch {
    return simplified; // no language tag, such as zh_CN
  }
}
