// Runs the search of the site like a browser: node search.js SITE, with one query per line of standard input.
// Prints the addresses of the results of each query, in order, as one line of JSON.
const { readFileSync, readdirSync } = require("node:fs");
const { join } = require("node:path");

const site = process.argv[2];
const workers = join(site, "assets", "javascripts", "workers");
const index = JSON.parse(readFileSync(join(site, "search.json"), "utf8"));
const [program] = readdirSync(workers).filter((name) => /^search\..*\.js$/.test(name));

let answered;
globalThis.self = { postMessage: (message) => answered(message) };
new Function(readFileSync(join(workers, program), "utf8"))();

function ask(type, data) {
  const answer = new Promise((resolve) => (answered = resolve));
  self.onmessage({ data: { type, data } });
  return answer;
}

(async () => {
  await ask(0, index);
  for (const input of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
    const { data } = await ask(2, { input, page: { id: 0, size: 50, from: 0 } });
    console.log(JSON.stringify(data.items.map((item) => index.items[item.id].location)));
  }
})();
