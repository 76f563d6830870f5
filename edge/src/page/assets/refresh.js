// Fetches the page again while somebody looks at it. Without this script the page is as good, only older.
"use strict";
(() => {
  const live = ["/", "/events", "/system"];
  if (!live.includes(location.pathname) || !document.querySelector("nav")) return;
  const busy = () => {
    const at = document.activeElement;
    return document.hidden || (at && at.closest("form"));
  };
  setInterval(async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.pathname, { redirect: "error" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      const old = document.querySelector("main");
      if (fresh && old && !busy() && fresh.innerHTML !== old.innerHTML) old.replaceWith(fresh);
    } catch {
      // The box is away; what is shown stays.
    }
  }, 5000);
})();
