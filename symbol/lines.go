package symbol

import (
	"cmp"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// lineTable tells the lines of one unit, as its line number program gives them.
type lineTable struct {
	dirs  []string
	files []fileName
	base  int // the number of files[0]: 1 before DWARF 5, then 0
	dir   string
	rows  []lineRow
	runs  []run // in ascending order of start
}

// fileName is a file as the table gives it. Full names are made when they are
// asked for: few are, and joined they take much more memory than the table.
type fileName struct {
	name string
	dir  uint32
	full atomic.Pointer[string]
}

type lineRow struct {
	addr       uint64
	file, line uint32
}

// run is a sequence: rows of a continuous piece of code, in ascending order.
type run struct {
	start, end  uint64
	first, last int // rows[first:last]
}

var errLines = errors.New("damaged line table")

// lineTable reads the line number program of u. Units can share one. With an
// error it returns what it could read, or nil.
func (d *dwarfData) lineTable(u *unit) (*lineTable, error) {
	if t, ok := d.lines[u.stmtList]; ok {
		return t, nil
	}
	var t *lineTable
	err := errLines
	// Every table is read once, so much more than the section is too much.
	if u.stmtList < uint64(len(d.line)) && d.lineWork <= len(d.line) {
		c := cursor{data: d.line, pos: int(u.stmtList), big: d.big}
		n, wide := c.unitLength()
		if n <= uint64(c.left()) && !c.bad {
			c.data = c.data[:c.pos+int(n)]
			d.lineWork += int(n)
			t, err = d.lineProgram(u, c, wide)
		}
	}
	d.lines[u.stmtList] = t
	return t, err
}

// lineState is the registers of the line number program, DWARF 5 section 6.2.2.
type lineState struct {
	lineRow
	opIndex uint64
}

func (d *dwarfData) lineProgram(u *unit, c cursor, wide bool) (*lineTable, error) {
	version := c.u16()
	if version < 2 || version > 5 {
		return nil, errLines
	}
	l := layout{version: version, asize: u.asize, wide: wide}
	if version == 5 {
		l.asize = c.u8()
		c.u8() // segment selectors
	}
	n := c.offset(wide)
	program := c
	program.skip(n)
	step := uint64(c.u8())
	slots := uint64(1)
	if version >= 4 {
		slots = max(1, uint64(c.u8()))
	}
	c.u8() // is_stmt
	lineBase, lineRange, opcodeBase := int64(int8(c.u8())), int64(c.u8()), c.u8()
	if c.bad || program.bad || lineRange == 0 || opcodeBase == 0 {
		return nil, errLines
	}
	var args [256]uint8 // of standard opcodes
	for i := 1; i < int(opcodeBase); i++ {
		args[i] = c.u8()
	}
	t := &lineTable{dir: u.compDir}
	if version == 5 {
		d.fileTable5(u, t, &c, l)
	} else {
		t.fileTable(&c)
	}
	var err error
	if c.bad {
		err = errLines // the rows may still be good
	}

	c = program
	t.rows = d.rows[:0]
	start := lineState{lineRow: lineRow{file: 1, line: 1}}
	s := start
	first := 0
	advance := func(n uint64) {
		if slots == 1 {
			s.addr += step * n
			return
		}
		s.addr += step * ((s.opIndex + n) / slots)
		s.opIndex = (s.opIndex + n) % slots
	}
	for c.left() > 0 {
		op := c.u8()
		if op >= opcodeBase {
			adjusted := int64(op - opcodeBase)
			advance(uint64(adjusted / lineRange))
			s.line += uint32(lineBase + adjusted%lineRange)
			t.rows = append(t.rows, s.lineRow)
			continue
		}
		switch op {
		case 0: // extended
			n := c.uleb()
			if n == 0 || n > uint64(c.left()) {
				c.fail()
				break
			}
			next := c.pos + int(n)
			switch c.u8() {
			case 1: // end_sequence
				t.endRun(d, first, s.addr)
				first = len(t.rows)
				s = start
			case 2: // set_address
				if n-1 <= 8 {
					s.addr, s.opIndex = c.uint(int(n-1)), 0
				}
			case 3: // define_file
				t.addFile(&c)
			}
			c.pos = next
		case 1: // copy
			t.rows = append(t.rows, s.lineRow)
		case 2: // advance_pc
			advance(c.uleb())
		case 3: // advance_line
			s.line += uint32(c.sleb())
		case 4: // set_file
			s.file = uint32(min(c.uleb(), 1<<32-1))
		case 5: // set_column
			c.uleb()
		case 6, 7, 10, 11: // negate_stmt, set_basic_block, set_prologue_end, set_epilogue_begin
		case 8: // const_add_pc
			advance(uint64((255 - int64(opcodeBase)) / lineRange))
		case 9: // fixed_advance_pc
			s.addr += uint64(c.u16())
			s.opIndex = 0
		default:
			for range args[op] {
				c.uleb()
			}
		}
	}
	if c.bad || first != len(t.rows) {
		err = errLines
		t.rows = t.rows[:first]
	}
	d.rows, t.rows = t.rows, slices.Clone(t.rows)
	slices.SortStableFunc(t.runs, func(a, b run) int { return cmp.Compare(a.start, b.start) })
	return t, err
}

// endRun makes a run of the rows from first on. Code that the linker dropped
// has no place in the program.
func (t *lineTable) endRun(d *dwarfData, first int, end uint64) {
	rows := t.rows[first:]
	ascending := func(a, b lineRow) int { return cmp.Compare(a.addr, b.addr) }
	if !slices.IsSortedFunc(rows, ascending) {
		slices.SortStableFunc(rows, ascending)
	}
	if len(rows) == 0 || !d.text.code(rows[0].addr, end) {
		t.rows = t.rows[:first]
		return
	}
	t.runs = append(t.runs, run{rows[0].addr, end, first, len(t.rows)})
}

// keepAtZero drops, of several runs at address 0, all but the one that belongs
// to the function there: the others are those of functions that the linker
// dropped. The run ends at end, where the function does, or behind its padding.
func (t *lineTable) keepAtZero(end uint64) {
	n := 0
	for n < len(t.runs) && t.runs[n].start == 0 {
		n++
	}
	if n < 2 {
		return
	}
	best := -1
	for i, r := range t.runs[:n] {
		if r.end >= end && (best < 0 || r.end < t.runs[best].end) {
			best = i
		}
	}
	if best >= 0 {
		t.runs = slices.Delete(slices.Delete(t.runs, best+1, n), 0, best)
	}
}

// fileTable reads the directories and files of DWARF 2 to 4.
func (t *lineTable) fileTable(c *cursor) {
	t.base = 1
	t.dirs = append(t.dirs, "") // the directory of the compilation
	for !c.bad {
		s := c.cstring()
		if s == "" {
			break
		}
		t.dirs = append(t.dirs, s)
	}
	for !c.bad && c.left() > 0 && c.data[c.pos] != 0 {
		t.addFile(c)
	}
	c.u8()
}

// addFile reads one entry of a table of files of DWARF 2 to 4.
func (t *lineTable) addFile(c *cursor) {
	name, dir := c.cstring(), c.uleb()
	c.uleb() // time of change
	c.uleb() // length
	if !c.bad {
		t.files = append(t.files, fileName{name: name, dir: uint32(min(dir, 1<<32-1))})
	}
}

// fileTable5 reads the directories and files of DWARF 5, which say themselves
// what they consist of.
func (d *dwarfData) fileTable5(u *unit, t *lineTable, c *cursor, l layout) {
	// The unit's strings, but the layout of the line table.
	within := &unit{layout: l, strBase: u.strBase, addrBase: u.addrBase}
	read := func(add func(name string, dir uint32)) {
		formats := make([]attrSpec, c.u8())
		for i := range formats {
			formats[i] = attrSpec{attr: clamp(c.uleb()), form: clamp(c.uleb())}
		}
		count := c.uleb()
		if count > uint64(c.left()) || len(formats) == 0 && count > 0 {
			c.fail() // an entry takes a byte at least
		}
		for i := uint64(0); i < count && !c.bad; i++ {
			name, dir := "", uint32(0)
			at := c.pos
			for _, f := range formats {
				v := d.value(within, c, f)
				switch f.attr {
				case 1: // DW_LNCT_path
					name = d.stringOf(within, v)
				case 2: // DW_LNCT_directory_index
					dir = uint32(min(v.num, 1<<32-1))
				}
			}
			if c.pos == at {
				c.fail()
				return
			}
			add(name, dir)
		}
	}
	read(func(name string, _ uint32) { t.dirs = append(t.dirs, name) })
	read(func(name string, dir uint32) { t.files = append(t.files, fileName{name: name, dir: dir}) })
}

// file returns the full name of a file, "" if there is none with that number.
func (t *lineTable) file(number uint32) string {
	i := int64(number) - int64(t.base)
	if i < 0 || i >= int64(len(t.files)) {
		return ""
	}
	f := &t.files[i]
	if full := f.full.Load(); full != nil {
		return *full
	}
	full := f.name
	if !absolute(full) {
		if int64(f.dir) < int64(len(t.dirs)) {
			full = join(t.dirs[f.dir], full)
		}
		if !absolute(full) {
			full = join(t.dir, full)
		}
	}
	f.full.Store(&full)
	return full
}

// absolute reports whether a path of the machine that compiled is complete.
func absolute(path string) bool {
	return strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\`) ||
		len(path) >= 3 && path[1] == ':' && (path[2] == '/' || path[2] == '\\')
}

func join(dir, name string) string {
	switch {
	case dir == "" || dir == ".":
		return name
	case strings.HasSuffix(dir, "/") || strings.HasSuffix(dir, `\`):
		return dir + name
	}
	return dir + "/" + name
}

// find returns file and line at pc, and where the run that tells them starts;
// line 0 if the table does not tell them.
func (t *lineTable) find(pc uint64) (file, line uint32, start uint64) {
	i := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].start > pc }) - 1
	for range 8 { // runs overlap in damaged files only
		if i < 0 || pc < t.runs[i].end {
			break
		}
		i--
	}
	if i < 0 || pc >= t.runs[i].end {
		return 0, 0, 0
	}
	r := t.runs[i]
	rows := t.rows[r.first:r.last]
	// Of several rows at one address the last counts.
	j := sort.Search(len(rows), func(j int) bool { return rows[j].addr > pc }) - 1
	return rows[j].file, rows[j].line, r.start
}
