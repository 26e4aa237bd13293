package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"regexp"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	nmFunction = regexp.MustCompile(`(?m)^([0-9a-f]{8}) (?:([0-9a-f]{8}) )?[tT] (\S+)$`)
	hexNumber  = regexp.MustCompile(`0x[0-9a-f]{8}`)
)

// armELF writes an ARM program with the functions of nm text and a call in
// front of each number in a log that lies in its code, but all calls so many
// bytes too late: armelf NM LOG FILE LATE.
func armELF(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: armelf NM LOG FILE LATE")
	}
	late, err := strconv.Atoi(args[3])
	ts.Check(err)
	number := func(digits string) uint32 {
		n, err := strconv.ParseUint(digits, 16, 32)
		ts.Check(err)
		return uint32(n)
	}
	const base = 0x10000
	code := make([]byte, 0x100000)
	for _, s := range hexNumber.FindAllString(ts.ReadFile(args[1]), -1) {
		if at := int(number(s[2:])) - base - 4 + late; at >= 0 && at+4 <= len(code) {
			binary.LittleEndian.PutUint32(code[at:], 0xeb000000)
		}
	}
	var out, symbols bytes.Buffer
	put := func(w *bytes.Buffer, v any) { ts.Check(binary.Write(w, binary.LittleEndian, v)) }
	names := []byte("\x00")
	put(&symbols, elf.Sym32{})
	for _, m := range nmFunction.FindAllStringSubmatch(ts.ReadFile(args[0]), -1) {
		s := elf.Sym32{Name: uint32(len(names)), Value: number(m[1]), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1}
		if m[2] != "" {
			s.Size = number(m[2])
		}
		put(&symbols, s)
		names = append(append(names, m[3]...), 0)
	}
	const head = 52
	put(&out, elf.Header32{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_ARM), Version: 1,
		Shoff: uint32(head + len(code) + symbols.Len() + len(names)), Ehsize: head, Shentsize: 40, Shnum: 4, Shstrndx: 3,
	})
	out.Write(code)
	at := uint32(head + len(code))
	size := uint32(symbols.Len())
	out.Write(symbols.Bytes())
	out.Write(names)
	put(&out, []elf.Section32{
		{},
		{Type: uint32(elf.SHT_PROGBITS), Flags: uint32(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Addr: base, Off: head, Size: uint32(len(code))},
		{Type: uint32(elf.SHT_SYMTAB), Off: at, Size: size, Link: 3, Info: 1, Entsize: 16},
		{Type: uint32(elf.SHT_STRTAB), Off: at + size, Size: uint32(len(names))},
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), out.Bytes(), 0o666))
}
