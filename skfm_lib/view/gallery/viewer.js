/* Skulls that turn: one WebGL context draws all skulls of a page, and the picture is
   copied to each skull's own canvas, because browsers allow few contexts.  Without WebGL
   or DecompressionStream, the pictures of the page stay.

   `skfmViewer()` starts the groups (.skfm-skulls) that are in the page and not started. */
"use strict";
window.skfmViewer = window.skfmViewer || (() => {
  const VERTEX = `
    attribute vec3 position, normal;
    uniform mat3 turn; uniform vec2 scale; varying vec3 n;
    void main() {
      n = turn * normal;
      vec3 p = turn * position;
      gl_Position = vec4(p.xy * scale, -p.z * 0.5, 1.0);
    }`;
  // A key light from the upper left, a weak one from the right, and a soft rim.
  const FRAGMENT = `
    precision mediump float; uniform vec3 colour; varying vec3 n;
    void main() {
      vec3 m = normalize(n);
      float key = max(dot(m, normalize(vec3(-0.55, 0.6, 0.75))), 0.0);
      float fill = max(dot(m, normalize(vec3(0.9, 0.1, 0.35))), 0.0);
      float rim = pow(1.0 - max(m.z, 0.0), 3.0);
      gl_FragColor = vec4(colour * (0.2 + 0.78 * key + 0.22 * fill) + 0.1 * rim, 1.0);
    }`;
  const SPEED = 0.35; // radians a second
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const screen = document.createElement("canvas");
  const gl = screen.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
  if (!gl || !window.DecompressionStream) return () => {};
  let program, uniforms;

  function prepare() {
    program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    const at = name => gl.getUniformLocation(program, name);
    uniforms = { turn: at("turn"), scale: at("scale"), colour: at("colour") };
    return true;
  }
  if (!prepare()) return () => {};

  /* The mesh of `view.gallery.encoded`: differences of 16-bit coordinates, then of
     vertex numbers to the highest so far, low bytes before high bytes, deflated. */
  async function decoded({ vertices, faces, data }) {
    const packed = Uint8Array.from(atob(data), c => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const words = (start, count) =>
      Uint16Array.from({ length: count }, (_, i) => bytes[start + i] | (bytes[start + count + i] << 8));
    const points = new Int16Array(words(0, 3 * vertices).buffer);
    for (let i = 3; i < points.length; i++) points[i] += points[i - 3];
    const index = words(6 * vertices, 3 * faces);
    for (let i = 0, next = 0; i < index.length; i++) {
      index[i] = next - index[i];
      if (index[i] === next) next++;
    }
    return { points, index, normals: normalsOf(points, index) };
  }

  function normalsOf(points, index) {
    const normals = new Float32Array(points.length);
    for (let t = 0; t < index.length; t += 3) {
      const [a, b, c] = [3 * index[t], 3 * index[t + 1], 3 * index[t + 2]];
      const u = [0, 1, 2].map(k => (points[b + k] - points[a + k]) / 256);
      const v = [0, 1, 2].map(k => (points[c + k] - points[a + k]) / 256);
      const cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const i of [a, b, c]) for (let k = 0; k < 3; k++) normals[i + k] += cross[k];
    }
    return normals;
  }

  function buffer(kind, values) {
    const made = gl.createBuffer();
    gl.bindBuffer(kind, made);
    gl.bufferData(kind, values, gl.STATIC_DRAW);
    return made;
  }

  async function load(skull) {
    const decodedParts = await Promise.all(skull.meshes.map(decoded));
    skull.parts = decodedParts.map(({ points, index, normals }, i) => ({
      count: index.length, colour: rgb(skull.meshes[i].colour),
      points: buffer(gl.ARRAY_BUFFER, points), normals: buffer(gl.ARRAY_BUFFER, normals),
      index: buffer(gl.ELEMENT_ARRAY_BUFFER, index),
    }));
    skull.element.classList.add("ready");
  }
  const rgb = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16) / 255);

  /* A skull that left the page, or whose context was lost, gives its memory back. */
  function unload(skull) {
    for (const { points, normals, index } of skull.parts || [])
      [points, normals, index].forEach(one => gl.deleteBuffer(one));
    skull.parts = skull.loading = null;
    skull.element.classList.remove("ready");
  }

  function attribute(name, values, type, normalised) {
    const slot = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, values);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, 3, type, normalised, 0, 0);
  }

  function draw(skull) {
    const { canvas, group: { yaw, pitch, zoom } } = skull;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (screen.width < width || screen.height < height) {
      screen.width = Math.max(screen.width, width);
      screen.height = Math.max(screen.height, height);
    }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [s, c, p, q] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
    // From RAS (right, front, up) to the screen, as seen from the front at yaw 0.
    gl.uniformMatrix3fv(uniforms.turn, false, [-c, -s * p, s * q, s, -c * p, c * q, 0, q, p]);
    const size = 1.16 * zoom * Math.min(width, height);
    gl.uniform2f(uniforms.scale, size / width, size / height);
    for (const part of skull.parts) {
      gl.uniform3fv(uniforms.colour, part.colour);
      attribute("position", part.points, gl.SHORT, true);
      attribute("normal", part.normals, gl.FLOAT, false);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, part.index);
      gl.drawElements(gl.TRIANGLES, part.count, gl.UNSIGNED_SHORT, 0);
    }
    const target = canvas.getContext("2d");
    target.clearRect(0, 0, width, height);
    target.drawImage(screen, 0, screen.height - height, width, height, 0, 0, width, height);
  }

  const groups = [];
  let asked = false, before = 0;
  function refresh() {
    if (!asked) { asked = true; requestAnimationFrame(frame); }
  }
  function frame(now) {
    asked = false;
    const passed = Math.min((now - before) / 1000, 0.1);
    before = now;
    for (const group of groups) {
      const shown = group.skulls.filter(skull => skull.seen && skull.parts && isLive(skull));
      if (group.turning) group.yaw += SPEED * passed;
      shown.forEach(draw);
      if (group.turning && shown.length) refresh();
    }
  }
  const isLarge = skull => skull.element.classList.contains("large");
  const isLive = skull => !skull.group.stage || isLarge(skull);

  function turn(group, x, y) {
    group.turning = false;
    group.yaw += x;
    group.pitch = Math.max(-1.5, Math.min(1.5, group.pitch + y));
    refresh();
  }
  function zoom(group, factor) {
    group.zoom = Math.max(0.6, Math.min(4, group.zoom * factor));
    refresh();
  }
  function enlarge({ group, element }, large) {
    group.skulls.forEach(one => one.element.classList.remove("large"));
    element.classList.toggle("large", large);
    element.scrollIntoView({ block: "nearest" });
    group.skulls.forEach(see);
  }
  const choose = skull => enlarge(skull, skull.group.stage || !isLarge(skull));

  async function see(skull) {
    if (skull.seen && isLive(skull) && !skull.loading) await (skull.loading = load(skull));
    refresh();
  }

  function listen(skull) {
    const { view, group } = skull, fingers = new Map();
    const keys = {
      ArrowLeft: () => turn(group, -0.12, 0), ArrowRight: () => turn(group, 0.12, 0),
      ArrowUp: () => turn(group, 0, -0.12), ArrowDown: () => turn(group, 0, 0.12),
      "+": () => zoom(group, 1.15), "=": () => zoom(group, 1.15), "-": () => zoom(group, 1 / 1.15),
      " ": () => { group.turning = !group.turning; refresh(); },
      Enter: () => choose(skull), Escape: () => group.stage || enlarge(skull, false),
    };
    let moved = 0;
    view.addEventListener("pointerdown", event => {
      fingers.set(event.pointerId, event);
      if (isLive(skull)) view.setPointerCapture(event.pointerId);
      moved = 0;
    });
    view.addEventListener("pointermove", event => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const [x, y] = [event.clientX - last.clientX, event.clientY - last.clientY];
      const scrolls = event.pointerType === "touch" && (group.stage || !isLarge(skull));
      if (fingers.size > 1) {
        const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, e]) => e);
        const apart = e => Math.hypot(e.clientX - other.clientX, e.clientY - other.clientY);
        zoom(group, apart(event) / Math.max(apart(last), 1));
      } else if (isLive(skull)) turn(group, x / 110, scrolls ? 0 : y / 110);
      moved += Math.abs(x) + Math.abs(y);
      fingers.set(event.pointerId, event);
    });
    const lift = event => {
      if (fingers.delete(event.pointerId) && event.type === "pointerup" && moved < 5) choose(skull);
    };
    view.addEventListener("pointerup", lift);
    view.addEventListener("pointercancel", lift);
    view.addEventListener("wheel", event => {
      if (!event.ctrlKey && (group.stage || !isLarge(skull))) return; // scrolls
      event.preventDefault();
      zoom(group, Math.exp(-event.deltaY / 400));
    }, { passive: false });
    view.addEventListener("keydown", event => {
      const act = keys[event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        event.stopPropagation(); // a notebook has keys of its own
        act();
      }
    });
    new IntersectionObserver(([entry]) => {
      skull.seen = entry.isIntersecting;
      if (!view.isConnected) unload(skull);
      see(skull);
    }, { rootMargin: "200px" }).observe(view);
    new ResizeObserver(refresh).observe(view);
  }

  function start(root) {
    root.classList.add("started");
    const meshes = JSON.parse(root.querySelector("script.meshes").textContent);
    const group = { yaw: -0.6, pitch: 0.12, turning: !still, stage: root.classList.contains("stage") };
    group.zoom = group.stage ? 1.25 : 1;
    group.skulls = [...root.querySelectorAll(".skull[data-mesh]")].map(element => ({
      group, element, meshes: meshes[element.dataset.mesh], seen: false,
      view: element.querySelector(".view"), canvas: element.querySelector("canvas"),
    }));
    if (group.stage && group.skulls.length) group.skulls[0].element.classList.add("large");
    groups.push(group);
    group.skulls.forEach(listen);
  }

  const all = act => groups.forEach(group => group.skulls.forEach(act));
  screen.addEventListener("webglcontextlost", event => { event.preventDefault(); all(unload); });
  screen.addEventListener("webglcontextrestored", () => { if (prepare()) all(see); });
  return () => document.querySelectorAll(".skfm-skulls:not(.started)").forEach(start);
})();
