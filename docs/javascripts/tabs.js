// A link to something behind a tab opens that tab. Without it a link to a name of launch_sync would lead nowhere.
function openTabOfTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const block = target?.closest(".tabbed-block");
  if (!block) return;

  const place = [...block.parentElement.children].indexOf(block);
  const inputs = block.closest(".tabbed-set").querySelectorAll(":scope > input");
  if (!inputs[place].checked) inputs[place].click();
  target.scrollIntoView();
}

addEventListener("hashchange", openTabOfTarget);
addEventListener("load", openTabOfTarget);
// The link that was followed last changes no address when it is followed again.
addEventListener("click", (event) => event.target.closest("a[href*='#']") && setTimeout(openTabOfTarget));
