package symbol

import (
	"compress/zlib"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxSections bounds the product of the number of sections and the size
	// of their names, since debug/elf copies each name up to where a NUL
	// happens to come. Linkers write some tens of sections.
	maxSections = 64 << 20
	// maxSection bounds a section in bytes; those of the largest programs
	// with all debug information have a gigabyte.
	maxSection = 2 << 30
	// Compressed debug information has a fourth to a tenth of its size. More
	// than maxRatio times as much, beyond minUnpacked bytes, was made to hurt.
	maxRatio    = 32
	minUnpacked = 1 << 20
)

var (
	errTooLarge = errors.New("larger than can be true")
	errShort    = errors.New("it ends too early")
)

// checkSections looks at what elf.NewFile would believe.
func checkSections(r io.ReaderAt) error {
	b := make([]byte, 64)
	n, _ := r.ReadAt(b, 0)
	if n < 52 || string(b[:4]) != elf.ELFMAG {
		return errShort
	}
	c := cursor{data: string(b[:n]), big: b[elf.EI_DATA] == byte(elf.ELFDATA2MSB)}
	wide := b[elf.EI_CLASS] == byte(elf.ELFCLASS64)
	c.pos = 32
	if wide {
		c.pos = 40
	}
	table := c.offset(wide)
	c.skip(4 + 2 + 4) // flags, header size, program headers
	entry, count, names := uint64(c.u16()), uint64(c.u16()), uint64(c.u16())
	if c.bad {
		return errShort
	}
	if table == 0 {
		return nil // no sections
	}
	header := func(i uint64) (size, link uint64) {
		b := make([]byte, 64)
		n, _ := r.ReadAt(b, int64(min(table+i*entry, 1<<62)))
		h := cursor{data: string(b[:n]), big: c.big, pos: 20}
		if wide {
			h.pos = 32
		}
		if h.pos > n {
			return 0, 0
		}
		size = h.offset(wide)
		return size, uint64(h.u32())
	}
	size, link := header(0)
	if count == 0 { // more than the field can hold
		count = size
	}
	if names == uint64(elf.SHN_XINDEX) {
		names = link
	}
	size, _ = header(names)
	if size > maxSections || count > maxSections || size*count > maxSections {
		return fmt.Errorf("%d sections with %d bytes of names: %w", count, size, errTooLarge)
	}
	return nil
}

// readSection reads a section that is, or is not, compressed. It allocates
// about as much as the file really has. budget, unless it is nil, bounds the
// bytes that unpacking several sections may yield, and what is left of it is
// written back.
func readSection(s *elf.Section, budget *uint64) (string, error) {
	if s.Type == elf.SHT_NOBITS || s.FileSize == 0 {
		return "", nil
	}
	size := s.FileSize
	if size > maxSection {
		return "", errTooLarge
	}
	// Is the end there? Otherwise the size is only a claim.
	var last [1]byte
	if s.Flags&elf.SHF_COMPRESSED == 0 {
		if _, err := s.ReadAt(last[:], int64(size)-1); err != nil {
			return "", errShort
		}
	}
	in := s.Open() // unpacks
	packed := s.Flags&elf.SHF_COMPRESSED != 0
	if packed {
		size = s.Size
	} else if strings.HasPrefix(s.Name, ".zdebug_") {
		// As GNU tools did before there was a flag: "ZLIB" and the size.
		var head [12]byte
		if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:4]) != "ZLIB" {
			return "", errors.New("not compressed as its name says")
		}
		c := cursor{data: string(head[4:]), big: true}
		size, packed = c.u64(), true
		z, err := zlib.NewReader(in)
		if err != nil {
			return "", err
		}
		in = nopSeeker{z}
	}
	if packed {
		limit := max(minUnpacked, maxRatio*s.FileSize)
		if budget != nil {
			limit = min(limit, *budget)
		}
		if size > min(limit, maxSection) {
			return "", errTooLarge
		}
		if budget != nil {
			*budget -= size
		}
	}
	var b strings.Builder
	if !packed {
		b.Grow(int(size))
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{&b}, io.LimitReader(in, int64(size)), make([]byte, 256<<10)); err != nil {
		return "", err
	}
	if uint64(b.Len()) < size {
		return "", errShort
	}
	return b.String(), nil
}

// nopSeeker makes a reader look like what elf.Section.Open returns.
type nopSeeker struct{ io.Reader }

func (nopSeeker) Seek(int64, int) (int64, error) { return 0, errors.ErrUnsupported }

// readDebug reads the debug information of f; nil if there is none that could
// be used. The error says what is missing.
func readDebug(f *elf.File, text *textSpans) (d *dwarfData, err error) {
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("damaged debug information: %v", p)
		}
	}()
	d = &dwarfData{big: f.Data == elf.ELFDATA2MSB, text: *text}
	var types string
	wanted := map[string]*string{
		"info": &d.info, "types": &types, "abbrev": &d.abbrev, "line": &d.line, "str": &d.str, "line_str": &d.lineStr,
		"str_offsets": &d.strOffsets, "addr": &d.addr, "ranges": &d.ranges, "rnglists": &d.rnglists,
	}
	budget := uint64(maxSection)
	for _, s := range f.Sections {
		name, ok := strings.CutPrefix(s.Name, ".debug_")
		if !ok {
			name, ok = strings.CutPrefix(s.Name, ".zdebug_")
		}
		to := wanted[name]
		if !ok || to == nil {
			continue
		}
		delete(wanted, name) // the first of each
		var e error
		if *to, e = readSection(s, &budget); e != nil && err == nil {
			err = fmt.Errorf("%s: %w", s.Name, e)
		}
	}
	if d.info == "" || d.abbrev == "" {
		return nil, err
	}
	if types != "" { // of DWARF 4: units like those of types in .debug_info since DWARF 5
		d.typesAt = len(d.info)
		d.info += types
	}
	return readDWARF(d), err
}
