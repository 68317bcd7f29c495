// The page of a run: keeps the machine's state at one moment, and draws it.
//
// `data` is what story.py writes. A State takes changes and undoes them, so a step costs what it
// changed; a View draws into the figures that page.py made, and only those whose part changed.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const R = data.records, NAMES = data.names, TEXTS = data.texts;
const KIND = NAMES.kinds, VMA_KINDS = NAMES.vma_kinds;
const FLAG = Object.fromEntries(NAMES.page_flags.map(([bit, name]) => [name, bit]));
const FRAME = {owner: 0, index: 1, flags: 2, refcount: 3, mapcount: 4, pins: 5, used: 6, entry: 7,
               blocks: 8, node: 9};
const VMA_WORDS = 9;
const VMA = {start: 0, end: 1, kind: 2, pgoff: 3, mapping: 4, anon: 5, cursor: 6, perms: 7, flags: 8};
const PAGE = 4096, ENTRIES = 512;
const FREE = [0, 0, FLAG.free, 0, 0, 0, 0, 0, 0, 0];

const hex = (n) => "0x" + n.toString(16);
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const flagsOf = (bits) =>
  NAMES.page_flags.filter(([bit]) => bits & bit).map(([, name]) => name).join("|") || "0";

// ---- the machine's state at a moment ----

// A page table: what each entry is, by index. flags: a text's number.
class Table {
  constructor() {
    this.kinds = new Uint8Array(ENTRIES);
    this.numbers = new Float64Array(ENTRIES);
    this.flags = new Uint32Array(ENTRIES);
    this.used = 0;
  }

  get(index) { return [this.kinds[index], this.numbers[index], this.flags[index]]; }

  set(index, [kind, number, flags]) {
    this.used += (kind !== 0) - (this.kinds[index] !== 0);
    this.kinds[index] = kind;
    this.numbers[index] = number;
    this.flags[index] = flags;
  }
}

class State {
  constructor() {
    this.at = -1;
    this.frames = new Map();   // pfn -> row of FRAME
    this.tables = new Map();   // pfn -> Table
    this.lists = NAMES.lists.map(() => []);
    this.areas = new Map();    // number -> {slots, next, used: Map(slot -> [count, cached])}
    this.spaces = new Map();   // pgd -> flat rows of VMA_WORDS
    this.counters = new Array(NAMES.counters.length).fill(0);
    this.cursor = [0, 0];
    this.undone = [];          // by moment: what takes it back
    this.dirty = new Set();    // parts that differ from what is drawn
    this.frameList = [];       // frames to be drawn again
  }

  frame(pfn) { return this.frames.get(pfn) || FREE; }

  go(moment) {
    while (this.at < moment) {
      const undo = [];
      for (const change of data.moments[++this.at]) undo.push(this.apply(change));
      this.undone.push(undo);
    }
    while (this.at > moment) {
      const undo = this.undone.pop();
      for (let i = undo.length; i-- > 0;) undo[i]();
      this.at--;
    }
  }

  // Each gives back what undoes it.
  apply(change) {
    switch (change[0]) {
      case R.frame: return this.setFrame(change[1], change.slice(2));
      case R.entry: return this.setEntry(change[1], change[2], change.slice(3));
      case R.list: return this.splice("lists", this.lists[change[1]], change, 1);
      case R.slot: return this.setSlot(change[1], change[2], change.slice(3));
      case R.area: return this.setArea(change[1], change[2], change[3]);
      case R.vmas: return this.setVmas(change);
      case R.counter: return this.setValue("counters", this.counters, change[1], change[2]);
      default: return this.setCursor(change.slice(1));
    }
  }

  setFrame(pfn, row) {
    const old = this.frames.get(pfn), table = this.tables.get(pfn);
    const put = (row, table) => {
      const was = this.frame(pfn)[FRAME.flags], is = (row || FREE)[FRAME.flags];
      this.dirty.add("frames");
      this.frameList.push(pfn);
      if ((was ^ is) & (FLAG.active | FLAG.referenced)) this.dirty.add("lists");
      if (row) this.frames.set(pfn, row); else this.frames.delete(pfn);
      if (table) this.tables.set(pfn, table); else this.tables.delete(pfn);
    };
    put(row, row[FRAME.flags] & FLAG.table ? table : undefined);
    return () => put(old, table);
  }

  setEntry(pfn, index, entry) {
    let table = this.tables.get(pfn);
    if (!table) this.tables.set(pfn, table = new Table());
    const old = table.get(index);
    const put = (entry) => {
      this.dirty.add("spaces");
      table.set(index, entry);
    };
    put(entry);
    return () => put(old);
  }

  splice(part, list, change, width) {
    const [, , place, goes] = change, comes = change.slice(4);
    const gone = list.splice(place * width, goes * width, ...comes);
    this.dirty.add(part);
    return () => {
      list.splice(place * width, comes.length, ...gone);
      this.dirty.add(part);
    };
  }

  setVmas(change) {
    if (!this.spaces.has(change[1])) this.spaces.set(change[1], []);
    return this.splice("spaces", this.spaces.get(change[1]), change, VMA_WORDS);
  }

  setValue(part, list, place, value) {
    const old = list[place];
    const put = (value) => { list[place] = value; this.dirty.add(part); };
    put(value);
    return () => put(old);
  }

  area(number) {
    if (!this.areas.has(number)) this.areas.set(number, {slots: 0, next: 0, used: new Map()});
    return this.areas.get(number);
  }

  setArea(number, slots, next) {
    const area = this.area(number), old = [area.slots, area.next];
    const put = ([slots, next]) => { Object.assign(area, {slots, next}); this.dirty.add("swap"); };
    put([slots, next]);
    return () => put(old);
  }

  setSlot(number, slot, value) {
    const used = this.area(number).used, old = used.get(slot);
    const put = (value) => {
      if (value && (value[0] || value[1])) used.set(slot, value); else used.delete(slot);
      this.dirty.add("swap");
    };
    put(value);
    return () => put(old);
  }

  setCursor(cursor) {
    const old = this.cursor;
    const put = (cursor) => { this.cursor = cursor; this.dirty.add("cursor"); };
    put(cursor);
    return () => put(old);
  }

  // ---- what follows from it ----

  vmas(pgd) {
    const rows = this.spaces.get(pgd) || [], found = [];
    for (let i = 0; i < rows.length; i += VMA_WORDS) found.push(rows.slice(i, i + VMA_WORDS));
    return found;
  }

  // Address spaces in the order in which they came; those that have nothing are over.
  livingSpaces() {
    return [...this.spaces.keys()].filter((pgd) => this.spaces.get(pgd).length);
  }

  labelOf(pgd) {
    const now = this.at < 0 ? 0 : data.events[this.at][0];
    const own = data.labels.filter((label) => label[1] === pgd);
    const label = own.filter((label) => label[0] <= now).sort((a, b) => a[0] - b[0]).pop() ||
                  own[0];
    return label ? `${label[3]} (${label[2]})` : `address space ${pgd}`;
  }

  // Every entry of the last level of [start, end): calls visit(addr, kind, number, pages).
  eachEntry(pgd, start, end, visit) {
    const read = (table, level, base) => {
      const size = PAGE * ENTRIES ** level, found = this.tables.get(table);
      if (!found) return;
      const first = Math.max(0, Math.floor((start - base) / size));
      const last = Math.min(ENTRIES, Math.ceil((end - base) / size));
      for (let index = first; index < last; index++) {
        const kind = found.kinds[index], addr = base + index * size;
        if (kind === KIND.nothing) continue;
        if (level && leadsToTable(found.get(index))) read(found.numbers[index], level - 1, addr);
        else visit(addr, kind, found.numbers[index], size / PAGE);
      }
    };
    read(pgd, 3, 0);
  }

  // Who maps a page: [{pgd, addr, vma}], those of special areas too.
  mappers(pfn) {
    const found = [];
    for (const pgd of this.livingSpaces())
      for (const vma of this.vmas(pgd))
        this.eachEntry(pgd, vma[VMA.start], vma[VMA.end], (addr, kind, number) => {
          if (kind === KIND.page && number === pfn) found.push({pgd, addr, vma});
        });
    return found;
  }

  fileName(cookie) {
    if (!cookie) return "";
    if (cookie >= NAMES.anonymous) return `shared memory ${cookie - NAMES.anonymous}`;
    return data.files[cookie] || `inode ${cookie}`;
  }

  owner(pfn) {
    const f = this.frame(pfn), flags = f[FRAME.flags];
    if (flags & FLAG.free) return "free";
    if (flags & FLAG.table) return `page table of ${this.labelOf(f[0])}, from ${hex(f[1])} on`;
    if (flags & FLAG.slab) return `slab: ${data.machine.caches[f[0]] || "a TLB"}`;
    if (flags & FLAG.cache) return `page ${f[1]} of ${this.fileName(f[0])}`;
    if (flags & FLAG.anon) return `anonymous memory, page ${hex(f[1])}`;
    if (f[FRAME.pins]) return "of no file any more: it was cut off, and is still shown";
    return "the kernel's own";
  }
}

const leadsToTable = (entry) =>
  entry[0] === KIND.page && !TEXTS[entry[2]].includes("PSE");

// ---- colours: what a page is, and what an area is ----

const COLOURS = {
  free: "#f2f2f2", reserved: "#9e9e9e", table: "#7b3294", slab: "#c2a5cf", anon: "#e66101",
  shmem: "#fdb863", file: "#4393c3", unmapped: "#b3d4e8", swapcache: "#d6604d", large: "#a50026",
  special: "#1b7837", list_active: "#b2182b", list_referenced: "#f4a582", list_other: "#92c5de",
};
const CELLS = {  // of an area
  nothing: null, present: "#2c7fb8", zero: "#c7e9b4", swap: "#d7301f", file: "#fec44f",
  marker: "#525252", special: "#1b7837", large: "#a50026",
};
const AREAS = {
  "special": "#1b7837", "nonlinear": "#fec44f", "large pages": "#a50026", "stack": "#8073ac",
  "code": "#b35806", "shared": "#4393c3", "file": "#92c5de", "anonymous": "#e08214",
};
const rgba = Object.fromEntries(Object.entries({...COLOURS, ...CELLS}).filter(([, c]) => c).map(
  ([name, c]) => [name, (0xff000000 | parseInt(c.slice(5, 7), 16) << 16 |
                         parseInt(c.slice(3, 5), 16) << 8 | parseInt(c.slice(1, 3), 16)) >>> 0]));

function frameKind(f) {
  const flags = f[FRAME.flags];
  if (flags & FLAG.free) return "free";
  if (flags & FLAG.table) return "table";
  if (flags & FLAG.slab) return "slab";
  if (flags & (FLAG.huge | FLAG.tail)) return "large";
  if (f[FRAME.pins]) return "special";
  if (flags & FLAG.swapcache) return "swapcache";
  if (flags & FLAG.anon) return "anon";
  if (flags & FLAG.shmem) return "shmem";
  if (flags & FLAG.cache) return f[FRAME.mapcount] ? "file" : "unmapped";
  return "reserved";
}

function cellKind(kind, size, special) {
  switch (kind) {
    case KIND.swap: return "swap";
    case KIND.file: return "file";
    case KIND.marker: return "marker";
    case KIND["zero page"]: return "zero";
    case KIND.promise: return "nothing";
    default: return special ? "special" : size > 1 ? "large" : "present";
  }
}

// ---- drawing ----

const MOST_CELLS = data.cells, MOST_ROWS = data.rows, MOST_SHOWN = 40;

class View {
  constructor(doc) {
    this.model = (name) => doc.get_model_by_name(name);
    this.state = new State();
    this.chosen = null;  // a page frame
    this.open = new Set();  // tables of the tree that are open, as paths
    this.columns = data.columns;
    this.drawn = new Map();  // by source: what it holds
    this.frameImage = this.image("frames");
    this.listImage = this.image("lists");
    this.swapImage = this.image("swap");
  }

  image(name) {
    const source = this.model(name);
    return source ? source.data.image[0] : null;
  }

  show(moment) {
    this.state.go(moment);
    const dirty = this.state.dirty;
    this.drawHead(moment);
    this.drawTime(moment);
    if (dirty.has("frames")) this.drawFrames();
    if (dirty.has("lists")) this.drawLists();
    if (dirty.has("swap")) this.drawSwap();
    if (dirty.has("spaces")) {
      this.drawSpaces();
      this.drawTree();
    }
    this.drawCard(this.chosen);
    if (this.chosen !== null && dirty.size) this.drawRmap();
    dirty.clear();
  }

  // A figure is drawn again only if what it shows has changed.
  put(name, columns) {
    const source = this.model(name), text = JSON.stringify(columns);
    if (!source || this.drawn.get(name) === text) return;
    this.drawn.set(name, text);
    source.data = columns;
  }

  stretch(name, start, end) {
    const range = this.model(name);
    if (range.start !== start || range.end !== end) range.setv({start, end});
  }

  drawHead(moment) {
    const [seq, time, pid, comm, name, text] = data.events[moment];
    document.getElementById("event").innerHTML =
      `<b>${escaped(TEXTS[name])}</b> ${escaped(text)}<br>event ${seq} of ` +
      `${data.events[data.events.length - 1][0]}, ${(time / 1e9).toFixed(6)} s, ` +
      `${escaped(TEXTS[comm])} (${pid})`;
    const [pgd, addr] = this.state.cursor;
    document.getElementById("cursor").textContent =
      pgd ? `the virtual scan goes on in ${this.state.labelOf(pgd)} at ${hex(addr)}` : "";
  }

  drawTime(moment) {
    for (const name of ["now", "now_counters"]) {
      const line = document.getElementById(name), plot = document.getElementById(name + "_of");
      const width = plot.clientWidth - data.left - data.right;
      line.style.left = `${data.left + width * (moment + 0.5) / data.events.length}px`;
    }
  }

  drawFrames() {
    let changed = false;
    for (const pfn of new Set(this.state.frameList)) {
      const colour = rgba[frameKind(this.state.frame(pfn))];
      changed ||= this.frameImage[pfn] !== colour;
      this.frameImage[pfn] = colour;
    }
    this.state.frameList = [];
    if (changed) this.model("frames").change.emit();
  }

  drawLists() {
    const image = this.listImage, width = image.length / NAMES.lists.length;
    image.fill(0);
    this.state.lists.forEach((pfns, row) => pfns.slice(0, width).forEach((pfn, place) => {
      const flags = this.state.frame(pfn)[FRAME.flags];
      image[row * width + place] =
        rgba[flags & FLAG.active ? "list_active"
                                 : flags & FLAG.referenced ? "list_referenced" : "list_other"];
    }));
    this.model("lists").change.emit();
    this.put("list_ends", {
      x: this.state.lists.map((pfns) => Math.min(pfns.length, width)),
      y: NAMES.lists.map((_, row) => row + 0.5),
      text: this.state.lists.map((pfns) => pfns.length ? `${pfns.length} ◂ reclaim` : "0"),
    });
  }

  drawSwap() {
    if (!this.swapImage) return;
    const image = this.swapImage, nexts = {x: [], y: []};
    image.fill(0);
    let first = 0;
    for (const area of this.state.areas.values()) {
      for (let slot = 1; slot < area.slots; slot++) image[first + slot] = rgba.free;
      for (const [slot, [count, cached]] of area.used)
        image[first + slot] = rgba[count ? (cached ? "list_referenced" : "swap") : "swapcache"];
      if (area.slots) {
        nexts.x.push((first + area.next) % this.columns + 0.5);
        nexts.y.push(Math.floor((first + area.next) / this.columns) + 0.5);
      }
      first += area.slots;
    }
    this.model("swap").change.emit();
    this.put("swap_next", nexts);
  }

  // ---- address spaces: a row an area ----

  rows() {
    const rows = [];
    for (const pgd of this.state.livingSpaces()) {
      rows.push({pgd});
      for (const vma of this.state.vmas(pgd)) rows.push({pgd, vma});
    }
    const more = rows.length - MOST_ROWS;
    return more > 0 ? [...rows.slice(0, MOST_ROWS - 1), {more: more + 1}] : rows;
  }

  drawSpaces() {
    const cells = {left: [], right: [], top: [], bottom: [], color: []};
    const boxes = {left: [], right: [], top: [], bottom: [], color: [], name: []};
    const texts = {x: [], y: [], text: []}, cursors = {x: [], y: []}, windows = [];
    const rows = this.rows();
    rows.forEach(({pgd, vma, more}, y) => {
      texts.x.push(-0.5);
      texts.y.push(y + 0.5);
      if (more) texts.text.push(`... and ${more} more areas`);
      else texts.text.push(vma ? this.vmaName(vma) : this.state.labelOf(pgd));
      if (!vma) return;
      const pages = (vma[VMA.end] - vma[VMA.start]) / PAGE, scale = Math.max(1, pages / MOST_CELLS);
      const kind = VMA_KINDS[vma[VMA.kind]];
      boxes.left.push(0);
      boxes.right.push(pages / scale);
      boxes.bottom.push(y + 0.1);
      boxes.top.push(y + 0.9);
      boxes.color.push(AREAS[kind]);
      boxes.name.push(`${kind}: ${this.vmaName(vma)}`);
      this.drawCells(cells, pgd, vma, y, scale);
      if (vma[VMA.cursor]) {
        cursors.x.push((vma[VMA.cursor] - vma[VMA.start]) / PAGE / scale);
        cursors.y.push(y + 0.1);
      }
      if (kind === "nonlinear" || kind === "special") windows.push({pgd, vma});
    });
    this.put("areas", boxes);
    this.put("cells", cells);
    this.put("area_names", texts);
    this.put("area_cursors", cursors);
    this.drawWindows(windows);
  }

  vmaName(vma) {
    const file = this.state.fileName(vma[VMA.mapping]);
    return `${vma[VMA.start].toString(16)} ${TEXTS[vma[VMA.perms]]} ${file}`.trim();
  }

  // Runs of pages of one kind; where a cell stands for many pages, the last of them.
  drawCells(cells, pgd, vma, y, scale) {
    const special = VMA_KINDS[vma[VMA.kind]] === "special", kinds = [];
    this.state.eachEntry(pgd, vma[VMA.start], vma[VMA.end], (addr, kind, number, size) => {
      const first = (addr - vma[VMA.start]) / PAGE, cell = cellKind(kind, size, special);
      for (let page = first; page < first + size; page += Math.max(1, Math.min(scale, size)))
        kinds[Math.floor(page / scale)] = cell;
    });
    let run = null;
    const close = () => {
      if (!run || !CELLS[run.kind]) return;
      cells.left.push(run.first);
      cells.right.push(run.last + 1);
      cells.bottom.push(y + 0.25);
      cells.top.push(y + 0.75);
      cells.color.push(CELLS[run.kind]);
    };
    kinds.forEach((kind, cell) => {
      if (run && run.last + 1 === cell && run.kind === kind) run.last = cell;
      else { close(); run = {first: cell, last: cell, kind}; }
    });
    close();
  }

  // Which page of which file stands where: a linear window would be a straight line.
  drawWindows(windows) {
    if (!this.model("windows")) return;
    const marks = {x: [], y: [], color: [], name: []}, palette = data.palette;
    let offset = 0;
    for (const {pgd, vma} of windows) {
      this.state.eachEntry(pgd, vma[VMA.start], vma[VMA.end], (addr, kind, number) => {
        const f = kind === KIND.page ? this.state.frame(number) : null;
        const inFile = kind === KIND.file;
        if (!inFile && !(f && f[FRAME.flags] & FLAG.cache)) return;
        const file = inFile ? vma[VMA.mapping] : f[0], page = inFile ? number : f[1];
        marks.x.push(offset + (addr - vma[VMA.start]) / PAGE + 0.5);
        marks.y.push(page + 0.5);
        marks.color.push(palette[file % palette.length]);
        marks.name.push(`${hex(addr)} shows page ${page} of ${this.state.fileName(file)}` +
                        (inFile ? " (file pte)" : ""));
      });
      offset += (vma[VMA.end] - vma[VMA.start]) / PAGE + 2;
    }
    this.stretch("windows_x", -0.5, Math.max(1, offset));
    this.stretch("windows_y", -0.5, Math.max(1, ...marks.y) + 1);
    this.put("windows", marks);
  }

  // ---- page tables: a tree that opens level by level ----

  drawTree() {
    const tree = document.getElementById("tree");
    if (tree.offsetParent === null && tree.childElementCount) return;
    const spaces = this.state.livingSpaces();
    const made = document.createElement("ul");
    for (const pgd of spaces) made.append(this.tableItem(pgd, 3, 0, `${pgd}`,
      `${escaped(this.state.labelOf(pgd))}: pgd in frame ${pgd}`));
    tree.replaceChildren(made);
  }

  tableItem(pfn, level, base, path, title) {
    const item = document.createElement("li"), details = document.createElement("details");
    const summary = document.createElement("summary");
    const table = this.state.tables.get(pfn);
    summary.innerHTML = `${title} <i>${table ? table.used : 0} entries</i>`;
    details.append(summary);
    const fill = () => {
      if (details.childElementCount < 2) details.append(this.tableEntries(pfn, level, base, path));
    };
    details.addEventListener("toggle", () => {
      if (details.open) { this.open.add(path); fill(); } else this.open.delete(path);
    });
    if (this.open.has(path)) { fill(); details.open = true; }
    item.append(details);
    return item;
  }

  tableEntries(pfn, level, base, path) {
    const list = document.createElement("ul"), size = PAGE * ENTRIES ** level;
    const table = this.state.tables.get(pfn);
    for (let index = 0; table && index < ENTRIES; index++) {
      const entry = table.get(index);
      if (entry[0] === KIND.nothing) continue;
      const addr = base + index * size, name = ["pte", "pmd", "pud", "pgd"][level];
      const flags = escaped(TEXTS[entry[2]]);
      if (level && leadsToTable(entry)) {
        if (!this.state.tables.has(entry[1])) continue;  // the kernel's own, the same in all
        list.append(this.tableItem(entry[1], level - 1, addr, `${path}/${index}`,
          `${name}[${index}] ${hex(addr)} → frame ${entry[1]} ${flags}`));
        continue;
      }
      const item = document.createElement("li");
      item.innerHTML = `${name}[${index}] ${hex(addr)} → ${this.entryText(entry)} ${flags}`;
      if (entry[0] === KIND.page) {
        item.className = "page";
        item.addEventListener("click", () => this.choose(entry[1]));
      }
      list.append(item);
    }
    return list;
  }

  entryText([kind, number]) {
    switch (kind) {
      case KIND.page: return `page ${number}`;
      case KIND["zero page"]: return "the zero page";
      case KIND.swap: return `swap: area ${number & 31}, slot ${number >> 5}`;
      case KIND.file: return `file pte: page ${number}`;
      case KIND.marker: return `marker: ${NAMES.markers[number] || number}`;
      default: return "nothing";
    }
  }

  // ---- a page's card, and who maps it ----

  choose(pfn) {
    this.chosen = pfn;
    this.drawCard(pfn);
    this.drawRmap();
  }

  drawCard(pfn) {
    const card = document.getElementById("card");
    if (pfn === null) return;
    const f = this.state.frame(pfn);
    card.innerHTML = `<b>page ${pfn}</b> ${flagsOf(f[FRAME.flags])}<br>` +
      `${escaped(this.state.owner(pfn))}<br>refcount ${f[FRAME.refcount]}, ` +
      `mapcount ${f[FRAME.mapcount]}, pins ${f[FRAME.pins]}` +
      (f[FRAME.entry] ? `<br>in swap: area ${f[FRAME.entry] & 31}, slot ${f[FRAME.entry] >> 5}` : "");
  }

  // The way from the page to its ptes that a design goes; what it looks at in vain is grey.
  route(pfn, design) {
    const f = this.state.frame(pfn), mappers = this.state.mappers(pfn);
    const known = mappers.filter(({vma}) => VMA_KINDS[vma[VMA.kind]] !== "special");
    const keyOf = ({pgd, vma}) => `${pgd} ${vma[VMA.start]}`;
    const anon = f[FRAME.flags] & FLAG.anon, shows = new Set(known.map(keyOf));
    if (design === "pte_chain" || (design === "objrmap" && anon)) {
      const blocks = Math.ceil(known.length / data.machine.nrpte), middle = [];
      for (let i = 0; i < (known.length > 1 ? blocks : 0); i++)
        middle.push({name: `block ${i}`, key: i, used: true});
      return {known, middle, of: (m, i) => known.length > 1 ? Math.floor(i / data.machine.nrpte)
                                                            : null};
    }
    const visited = [];
    for (const pgd of this.state.livingSpaces())
      for (const vma of this.state.vmas(pgd)) {
        const kind = VMA_KINDS[vma[VMA.kind]], first = vma[VMA.pgoff];
        const inside = f[1] >= first && f[1] < first + (vma[VMA.end] - vma[VMA.start]) / PAGE;
        const same = anon ? vma[VMA.anon] && vma[VMA.anon] === f[0] : vma[VMA.mapping] === f[0];
        const looks = design === "virtual_scan" ? kind !== "special"
          : same && (anon || design === "objrmap" || inside || kind === "nonlinear");
        if (looks && kind !== "special") visited.push({pgd, vma});
      }
    const middle = visited.map((one) => ({
      name: `${this.state.labelOf(one.pgd)} ${one.vma[VMA.start].toString(16)}`, key: keyOf(one),
      used: shows.has(keyOf(one)),
    }));
    return {known, middle, of: keyOf};
  }

  drawRmap() {
    const segments = {x0: [], y0: [], x1: [], y1: [], color: []};
    const texts = {x: [], y: [], text: [], color: []};
    const design = document.getElementById("design").value;
    const {known, middle, of} = this.route(this.chosen, design);
    const shown = known.slice(0, MOST_SHOWN), nodes = middle.slice(0, MOST_SHOWN);
    const height = Math.max(shown.length, nodes.length, 1);
    const y = (i, n) => (i + 0.5) * height / Math.max(n, 1), places = new Map();
    const line = (x0, y0, x1, y1, color) => {
      segments.x0.push(x0); segments.y0.push(y0); segments.x1.push(x1); segments.y1.push(y1);
      segments.color.push(color);
    };
    const text = (x, y, words, color) => {
      texts.x.push(x); texts.y.push(y); texts.text.push(words); texts.color.push(color);
    };
    text(0, height / 2, `page ${this.chosen}`, "#000000");
    nodes.forEach((node, i) => {
      places.set(node.key, y(i, nodes.length));
      text(1, y(i, nodes.length), node.name, node.used ? "#000000" : "#aaaaaa");
      line(0.25, height / 2, 0.98, y(i, nodes.length), node.used ? "#2c7fb8" : "#cccccc");
    });
    shown.forEach((mapper, i) => {
      const place = places.get(of(mapper, i)), to = y(i, shown.length);
      text(3, to, `${this.state.labelOf(mapper.pgd)} ${hex(mapper.addr)}`, "#000000");
      if (place === undefined) line(0.25, height / 2, 2.98, to, "#2c7fb8");
      else line(2.1, place, 2.98, to, "#2c7fb8");
    });
    const pins = this.state.frame(this.chosen)[FRAME.pins];
    document.getElementById("rmap_note").textContent =
      `${known.length} ptes found, ${middle.length} ${design === "pte_chain" ? "blocks" : "areas"}` +
      ` looked at` + (pins ? `; ${pins} more in special areas, which no design finds` : "");
    this.put("rmap_lines", segments);
    this.put("rmap_texts", texts);
    this.stretch("rmap_range", height, 0);
  }
}

// ---- legends ----

function legend(id, names, colours) {
  document.getElementById(id).innerHTML = names.map((name) =>
    `<span><i style="background:${colours[name] || "#ffffff"}"></i>${escaped(name)}</span>`
  ).join("");
}

function legends() {
  legend("frames_legend", ["free", "anon", "file", "unmapped", "shmem", "swapcache", "table", "slab",
                           "special", "large", "reserved"], COLOURS);
  legend("areas_legend", VMA_KINDS, AREAS);
  legend("cells_legend", Object.keys(CELLS), CELLS);
  legend("lists_legend", ["active", "referenced", "other"], {
    active: COLOURS.list_active, referenced: COLOURS.list_referenced, other: COLOURS.list_other});
}

// ---- hands ----

function hook(view) {
  const slider = document.getElementById("slider");
  slider.max = data.events.length - 1;
  slider.value = data.begin;
  let asked = null;
  const show = () => { asked = null; view.show(Number(slider.value)); };
  slider.addEventListener("input", () => {
    if (asked === null) asked = requestAnimationFrame(show);
  });
  const step = (by) => {
    slider.value = Number(slider.value) + by;
    show();
  };
  document.getElementById("back").addEventListener("click", () => step(-1));
  document.getElementById("forth").addEventListener("click", () => step(1));
  document.getElementById("design").addEventListener("change", () => {
    if (view.chosen !== null) view.drawRmap();
  });
  const pfnAt = (x, y) => {
    const pfn = Math.floor(y) * data.columns + Math.floor(x);
    return x >= 0 && x < data.columns && y >= 0 && pfn < data.frames ? pfn : null;
  };
  view.model("frames_figure").on_event("mousemove", (event) => {
    view.drawCard(pfnAt(event.x, event.y) ?? view.chosen);
  });
  view.model("frames_figure").on_event("tap", (event) => {
    const pfn = pfnAt(event.x, event.y);
    if (pfn !== null) view.choose(pfn);
  });
  window.addEventListener("resize", () => view.drawTime(Number(slider.value)));
  show();
}

function begin() {
  const doc = window.Bokeh && Bokeh.documents[0];
  if (!doc || !doc.is_idle) { setTimeout(begin, 20); return; }
  const view = new View(doc);
  window.pkern = view;  // for who tests the page, or looks deeper
  legends();
  hook(view);
  document.body.dataset.ready = "1";
}
begin();
