package image

import (
	"bytes"
	"cmp"
	"debug/elf"
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// maxNotes bounds the notes that are read of one core, in bytes. Linux writes
// some kilobytes per thread and at most 4 MiB about mapped files.
const maxNotes = 64 << 20

// Types of notes whose name is "CORE".
const (
	ntPrstatus = 1          // a thread's registers
	ntFile     = 0x46494c45 // mapped files
)

// registers says how the general registers of a machine lie in elf_gregset_t.
type registers struct {
	count  int // of words
	sp, pc int // indexes
	names  []string
}

// registerSets has the machines whose NT_PRSTATUS is understood: those of
// Linux, and of QEMU, which imitates it.
var registerSets = map[struct {
	machine elf.Machine
	wide    bool
}]registers{
	{elf.EM_ARM, false}:    {count: 18, sp: 13, pc: 15, names: armNames},
	{elf.EM_AARCH64, true}: {count: 34, sp: 31, pc: 32, names: aarch64Names},
	{elf.EM_RISCV, false}:  {count: 32, sp: 2, pc: 0, names: riscvNames},
	{elf.EM_RISCV, true}:   {count: 32, sp: 2, pc: 0, names: riscvNames},
	{elf.EM_386, false}:    {count: 17, sp: 15, pc: 12, names: i386Names},
	{elf.EM_X86_64, true}:  {count: 27, sp: 19, pc: 16, names: amd64Names},
}

// noteReader reads the notes of a core into part.
type noteReader struct {
	cursor
	machine elf.Machine
	part    *part
	room    uint64 // bytes that may still be read
	unread  int    // threads that were not understood
	lost    bool   // some notes are missing
	tooMany bool
	files   []heap.Mapping // in ascending order after finish
}

// read reads notes from b; size is how many bytes there should be. Each has the
// length of its name, the length of its content, a type, and the two, padded to
// four bytes.
func (r *noteReader) read(b []byte, size uint64) {
	if uint64(len(b)) < size {
		r.lost = true
	}
	if uint64(len(b)) > r.room {
		b, r.tooMany = b[:r.room], true
	}
	r.room -= uint64(len(b))
	r.rest, r.short = b, false
	for len(r.rest) > 0 {
		nameSize, size, kind := uint64(r.u32()), uint64(r.u32()), r.u32()
		name := r.take(nameSize)
		r.skip(-nameSize % 4)
		content := r.take(size)
		if r.short {
			r.lost = true
			return
		}
		r.skip(-size % 4)
		if string(bytes.TrimRight(name, "\x00")) != "CORE" {
			continue
		}
		c := cursor{rest: content, order: r.order, wide: r.wide}
		switch kind {
		case ntPrstatus:
			r.thread(c)
		case ntFile:
			r.mapped(c)
		}
	}
}

// skip leaves out padding, which may be missing at the end.
func (r *noteReader) skip(n uint64) { r.take(min(n, uint64(len(r.rest)))) }

// thread reads an NT_PRSTATUS: struct elf_prstatus, whose members in front of
// the registers are the same on all these machines, and behind them a flag.
func (r *noteReader) thread(c cursor) {
	set, ok := registerSets[struct {
		machine elf.Machine
		wide    bool
	}{r.machine, r.wide}]
	id, regs, word := uint64(24), uint64(72), uint64(4) // offsets, size
	if r.wide {
		id, regs, word = 32, 112, 8
	}
	// The flag is padded to a word.
	if !ok || uint64(len(c.rest)) != regs+uint64(set.count)*word+word {
		r.unread++
		return
	}
	c.take(id)
	t := Thread{ID: int(int32(c.u32())), Regs: make([]uint64, set.count)}
	c.take(regs - id - 4)
	for i := range t.Regs {
		t.Regs[i] = c.word()
	}
	t.SP, t.PC = heap.Addr(t.Regs[set.sp]), heap.Addr(t.Regs[set.pc])
	r.part.threads = append(r.part.threads, t)
}

// mapped reads an NT_FILE: a count, a page size, for each mapping its start, its
// end and its offset in pages, and then for each the file's name and a NUL.
func (r *noteReader) mapped(c cursor) {
	count, page := c.word(), c.word()
	size := uint64(3 * 4)
	if r.wide {
		size = 3 * 8
	}
	if c.short || count > uint64(len(c.rest))/size {
		r.lost = true
		return
	}
	names := c.rest[count*size:]
	for range count {
		start, limit, pages := c.word(), c.word(), c.word()
		name, rest, ok := bytes.Cut(names, []byte{0})
		overflow, offset := bits.Mul64(pages, page)
		if !ok || start > limit || overflow != 0 {
			r.lost = true
			return
		}
		names = rest
		r.files = append(r.files, heap.Mapping{Start: heap.Addr(start), Limit: heap.Addr(limit), Offset: offset, File: string(name)})
	}
}

// finish says what was missing.
func (r *noteReader) finish() {
	slices.SortStableFunc(r.files, func(a, b heap.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	p := r.part
	p.mappings = r.files
	if r.lost {
		p.partial = append(p.partial, "the core's notes are cut or damaged: threads or names of files are missing")
	}
	if r.tooMany {
		p.partial = append(p.partial, fmt.Sprintf("the core has more than %d bytes of notes: the rest was left out", maxNotes))
	}
	if r.unread > 0 {
		p.partial = append(p.partial, fmt.Sprintf("the registers of %s are in a form that is not known (%v)", plain.Plural(r.unread, "thread"), r.machine))
	}
}

// fileAt returns the name of the file that was mapped at addr, "" if none was.
func (r *noteReader) fileAt(addr heap.Addr) string {
	i := sort.Search(len(r.files), func(i int) bool { return r.files[i].Start > addr }) - 1
	if i < 0 || addr >= r.files[i].Limit {
		return ""
	}
	return r.files[i].File
}
