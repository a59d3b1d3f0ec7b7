for (const place of document.querySelectorAll("[data-service]")) {
  show(place);
}

async function show(place) {
  try {
    const answer = await fetch(`${place.dataset.service}/readyz`);
    const { status, dependencies } = await answer.json();
    const names = Object.entries(dependencies).map(([name, state]) => `${name}: ${state}`);
    place.textContent = `${status} (${names.join(", ")})`;
    place.className = status;
  } catch {
    place.textContent = "does not answer";
    place.className = "unavailable";
  }
}
