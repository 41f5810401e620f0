// What runs leaves its name in the list.
function ran(name) {
  const item = document.createElement("li");
  item.textContent = name;
  document.getElementById("ran").append(item);
}
ran("file with a nonce");
