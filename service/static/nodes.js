// The page of a cluster's nodes: their load, their streams, and drain by a click. For admins.

import { drainNode, getCluster } from "./api.js";

const POLL_MS = 1000;
const at = (id) => document.getElementById(id);

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function drainButton({ name, draining }) {
  const button = document.createElement("button");
  button.className = "small";
  button.textContent = draining ? "Take streams again" : "Drain";
  button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  button.onclick = async () => {
    button.disabled = true;
    try {
      await drainNode(name, !draining);
      await refresh();
    } catch ({ message }) {
      at("nodes-problem").textContent = message;
    }
  };
  return button;
}

function row(node) {
  const made = document.createElement("tr");
  const room = `${node.streams.length} of ${node.room ?? node.capacity}`;
  const cells = [node.draining ? `${node.name} (draining)` : node.name, node.device, `${Math.round(node.load * 100)} %`, room];
  made.append(...cells.map(cell), cell(node.streams.join(", ") || "–"), cell(drainButton(node)));
  return made;
}

async function refresh() {
  const { site, nats, nodes, streams, unplaced } = await getCluster();
  at("totals").textContent = `site ${site} · ${nodes.length} nodes · ${streams} streams${nats ? "" : " · NATS is away"}`;
  at("unplaced").textContent = unplaced.length ? `Without a place: ${unplaced.join(", ")}` : "";
  const shown = JSON.stringify(nodes);
  if (at("nodes").dataset.shown === shown) return; // what has the focus keeps it
  at("nodes").dataset.shown = shown;
  at("nodes").replaceChildren(...nodes.map(row));
  at("nodes-problem").textContent = "";
}

async function poll() {
  try {
    await refresh();
  } catch ({ message }) {
    at("nodes-problem").textContent = message;
  } finally {
    setTimeout(poll, POLL_MS);
  }
}

poll();
