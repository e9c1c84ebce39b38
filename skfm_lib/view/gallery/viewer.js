/* Skulls that turn together: one WebGL context draws each of them, and the picture is
   copied to the skull's own canvas, because browsers allow few contexts.  Without WebGL
   or DecompressionStream, the pictures of the page stay. */
"use strict";
(() => {
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
    precision mediump float; varying vec3 n;
    void main() {
      vec3 m = normalize(n);
      float key = max(dot(m, normalize(vec3(-0.55, 0.6, 0.75))), 0.0);
      float fill = max(dot(m, normalize(vec3(0.9, 0.1, 0.35))), 0.0);
      float rim = pow(1.0 - max(m.z, 0.0), 3.0);
      vec3 bone = vec3(0.93, 0.88, 0.78);
      vec3 colour = bone * (0.2 + 0.78 * key + 0.22 * fill) + 0.1 * rim;
      gl_FragColor = vec4(colour, 1.0);
    }`;
  const SPEED = 0.35; // radians a second
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const state = { yaw: -0.6, pitch: 0.12, zoom: 1, turning: !still };
  const screen = document.createElement("canvas");
  const gl = screen.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
  if (!gl || !window.DecompressionStream) return;

  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return;
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const at = name => gl.getUniformLocation(program, name);
  const uniforms = { turn: at("turn"), scale: at("scale") };

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
    const { points, index, normals } = await decoded(skull.mesh);
    skull.count = index.length;
    skull.points = buffer(gl.ARRAY_BUFFER, points);
    skull.normals = buffer(gl.ARRAY_BUFFER, normals);
    skull.index = buffer(gl.ELEMENT_ARRAY_BUFFER, index);
    skull.figure.classList.add("ready");
  }

  function attribute(name, values, type, normalised) {
    const slot = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, values);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, 3, type, normalised, 0, 0);
  }

  function draw(skull) {
    const { canvas } = skull;
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
    attribute("position", skull.points, gl.SHORT, true);
    attribute("normal", skull.normals, gl.FLOAT, false);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, skull.index);
    const [s, c] = [Math.sin(state.yaw), Math.cos(state.yaw)];
    const [p, q] = [Math.sin(state.pitch), Math.cos(state.pitch)];
    // From RAS (right, front, up) to the screen, as seen from the front at yaw 0.
    gl.uniformMatrix3fv(uniforms.turn, false, [-c, -s * p, s * q, s, -c * p, c * q, 0, q, p]);
    const size = 1.16 * state.zoom * Math.min(width, height);
    gl.uniform2f(uniforms.scale, size / width, size / height);
    gl.drawElements(gl.TRIANGLES, skull.count, gl.UNSIGNED_SHORT, 0);
    const target = canvas.getContext("2d");
    target.clearRect(0, 0, width, height);
    target.drawImage(screen, 0, screen.height - height, width, height, 0, 0, width, height);
  }

  const skulls = [...document.querySelectorAll("figure[data-mesh]")].map(figure => ({
    figure, mesh: meshes[figure.dataset.mesh], box: figure.querySelector(".skull"),
    canvas: figure.querySelector("canvas"), seen: false,
  }));
  let asked = false, before = 0;
  function refresh() {
    if (!asked) { asked = true; requestAnimationFrame(frame); }
  }
  function frame(now) {
    asked = false;
    if (state.turning) state.yaw += SPEED * Math.min((now - before) / 1000, 0.1);
    before = now;
    const shown = skulls.filter(skull => skull.seen && skull.count);
    shown.forEach(draw);
    if (state.turning && shown.length) refresh();
  }
  function turn(x, y) {
    state.turning = false;
    state.yaw += x;
    state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + y));
    refresh();
  }
  function zoom(factor) {
    state.zoom = Math.max(0.6, Math.min(4, state.zoom * factor));
    refresh();
  }
  function enlarge(skull) {
    const large = skull.figure.classList.contains("large");
    skulls.forEach(one => one.figure.classList.remove("large"));
    skull.figure.classList.toggle("large", !large);
    skull.figure.scrollIntoView({ block: "nearest" });
    refresh();
  }
  const KEYS = {
    ArrowLeft: () => turn(-0.12, 0), ArrowRight: () => turn(0.12, 0),
    ArrowUp: () => turn(0, -0.12), ArrowDown: () => turn(0, 0.12),
    "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15),
    " ": () => { state.turning = !state.turning; refresh(); },
    Escape: () => { skulls.forEach(one => one.figure.classList.remove("large")); refresh(); },
  };

  for (const skull of skulls) {
    const { box } = skull, fingers = new Map();
    let moved = 0;
    box.addEventListener("pointerdown", event => {
      fingers.set(event.pointerId, event);
      box.setPointerCapture(event.pointerId);
      moved = 0;
    });
    box.addEventListener("pointermove", event => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const [x, y] = [event.clientX - last.clientX, event.clientY - last.clientY];
      if (fingers.size === 1) turn(x / 110, event.pointerType === "touch" && !skull.figure.classList.contains("large") ? 0 : y / 110);
      else {
        const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, e]) => e);
        const apart = e => Math.hypot(e.clientX - other.clientX, e.clientY - other.clientY);
        zoom(apart(event) / Math.max(apart(last), 1));
      }
      moved += Math.abs(x) + Math.abs(y);
      fingers.set(event.pointerId, event);
    });
    const lift = event => {
      if (fingers.delete(event.pointerId) && event.type === "pointerup" && moved < 5) enlarge(skull);
    };
    box.addEventListener("pointerup", lift);
    box.addEventListener("pointercancel", lift);
    box.addEventListener("wheel", event => {
      if (!event.ctrlKey && !skull.figure.classList.contains("large")) return; // scrolls
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 400));
    }, { passive: false });
    box.addEventListener("keydown", event => {
      const act = event.key === "Enter" ? () => enlarge(skull) : KEYS[event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
    });
    new IntersectionObserver(async ([entry]) => {
      skull.seen = entry.isIntersecting;
      if (skull.seen && !skull.loading) await (skull.loading = load(skull));
      refresh();
    }, { rootMargin: "200px" }).observe(box);
    new ResizeObserver(refresh).observe(box);
  }
})();
