package kconfig_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/kconfig"
)

func TestReadConfig(t *testing.T) {
	const file = "\ufeff#\n# Automatically generated file; DO NOT EDIT.\r\n#\n\n" +
		"LOSCFG_MEM_LEAKCHECK=y\r\n" +
		"# LOSCFG_MEM_RECORDINFO is not set\n" +
		"  LOSCFG_BASE_CORE_TSK_LIMIT=64  \n" +
		"CONFIG_RAM_START=0x20000000\n" +
		"CONFIG_NEGATIVE=-1\n" +
		"CONFIG_MODULE=m\n" +
		"CONFIG_EMPTY=\n" +
		`CONFIG_TEXT="a=b \"c\" \\ # d"` + "\n" +
		`CONFIG_NONE=""` + "\n" +
		"CONFIG_TWICE=1\nCONFIG_TWICE=2\n" +
		"CONFIG_LATER=y\n# CONFIG_LATER is not set\n" +
		"# end of Memory is not set up here\n" +
		"LAST=y"
	got, err := kconfig.ReadConfig(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"LOSCFG_MEM_LEAKCHECK": "y", "LOSCFG_MEM_RECORDINFO": "n", "LOSCFG_BASE_CORE_TSK_LIMIT": "64",
		"CONFIG_RAM_START": "0x20000000", "CONFIG_NEGATIVE": "-1", "CONFIG_MODULE": "m", "CONFIG_EMPTY": "",
		"CONFIG_TEXT": `a=b "c" \ # d`, "CONFIG_NONE": "", "CONFIG_TWICE": "2", "CONFIG_LATER": "n", "LAST": "y",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadConfigErrors(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"A=y\nB\n", `line 2: "B" sets no symbol`},
		{"A=y\n\n=y\n", `line 3: "=y" sets no symbol`},
		{"A-B=y\n", "line 1:"},
		{"A=\"x\n", "line 1: the text of A does not end with its quote"},
		{"A=\"x\\", "line 1:"},
		{"A=\"x\" y\n", "line 1:"},
		{"", "no symbol in it"},
		{"# only a comment\n", "no symbol in it"},
		{"A=y\nB=" + strings.Repeat("x", kconfig.MaxLine), "line 2 is longer than"},
		{strings.Repeat("A=y\n", kconfig.MaxBytes/4) + "B=y\n", "longer than 16777216 bytes"},
		{"\x7fELF\x01\x01", "line 1:"},
	} {
		if got, err := kconfig.ReadConfig(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%.40q: %v, %v, want %q", c.file, got, err, c.want)
		}
	}
	broken := errors.New("unplugged")
	if _, err := kconfig.ReadConfig(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader's error becomes %v", err)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("A=y\n# B is not set\nC=\"d\\\"e\"\r\nF=0x10\n")
	f.Add("A=\"\\")
	f.Add("# is not set\n#  is not set\n")
	f.Fuzz(func(t *testing.T, file string) {
		config, err := kconfig.ReadConfig(strings.NewReader(file))
		if (err == nil) != (len(config) > 0) {
			t.Fatalf("%v, %v", config, err)
		}
		// What it read can be written and read again.
		var b strings.Builder
		for name, value := range config {
			b.WriteString(name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + "\"\n")
		}
		again, err := kconfig.ReadConfig(strings.NewReader(b.String()))
		if len(config) > 0 && (err != nil || cmp.Diff(config, again) != "") {
			t.Fatalf("%q: %v, %s", b.String(), err, cmp.Diff(config, again))
		}
	})
}
