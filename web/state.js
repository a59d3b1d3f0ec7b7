for (const element of document.querySelectorAll("[data-service]")) {
  show(element);
}

async function show(element) {
  try {
    const response = await fetch(`${element.dataset.service}/readyz`);
    const { status, dependencies } = await response.json();
    const names = Object.entries(dependencies).map(([name, state]) => `${name}: ${state}`);
    element.textContent = `${status} (${names.join(", ")})`;
    element.className = status;
  } catch {
    element.textContent = "does not answer";
    element.className = "unavailable";
  }
}
