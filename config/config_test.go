package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/kconfig"
)

// The file at the root of the repository and the embedded one are one menu.
func TestRootMenu(t *testing.T) {
	tree, err := kconfig.Parse(os.DirFS(".."), "Kconfig")
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Symbols) != len(Menu().Symbols) {
		t.Errorf("%d symbols at the root, %d embedded", len(tree.Symbols), len(Menu().Symbols))
	}
}

// All debugging is off by default.
func TestDefaults(t *testing.T) {
	cfg, warnings, err := load("", nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if d := cmp.Diff(heapwright.Config{}, cfg); d != "" {
		t.Error(d)
	}
}

func TestLoad(t *testing.T) {
	const on = "LOSCFG_DEBUG_VERSION=y\nLOSCFG_MEM_DEBUG=y\n"
	for _, c := range []struct {
		name, file string
		env        []string
		want       heapwright.Config
		warn, err  string
	}{
		{"leak check", on + "LOSCFG_MEM_LEAKCHECK=y\n", nil, heapwright.Config{LeakCheck: true, OmitLR: 2, RecordLR: 3}, "", ""},
		{
			"all", on + "LOSCFG_MEM_LEAKCHECK=y\nLOSCFG_MEM_HEAD_BACKUP=y\nLOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK=y\nLOS_OMIT_LR_CNT=0\nLOS_RECORD_LR_CNT=8\n" +
				"HEAPWRIGHT_POOL_NAME=\"cache\"\nHEAPWRIGHT_MAX_MIB=64\nHEAPWRIGHT_ON_FINDING_PANIC=y\n", nil,
			heapwright.Config{Name: "cache", MaxSize: 64 << 20, LeakCheck: true, OmitLR: heapwright.None, RecordLR: 8, HeadBackup: true, IntegrityCheck: true, Policy: heapwright.Panic},
			"", "",
		},
		{"chain", "LOSCFG_MEM_LEAKCHECK=y\n", nil, heapwright.Config{}, "", "LOSCFG_MEM_LEAKCHECK needs LOSCFG_MEM_DEBUG, which needs LOSCFG_DEBUG_VERSION"},
		{"little", "LOSCFG_KERNEL_MEM_BESTFIT_LITTLE=y\n", nil, heapwright.Config{}, "", "choose LOSCFG_KERNEL_MEM_BESTFIT"},
		{"range", on + "LOSCFG_MEM_LEAKCHECK=y\nLOS_RECORD_LR_CNT=99\n", nil, heapwright.Config{}, "", "LOS_RECORD_LR_CNT=99 is out of its range, 1 to 32"},
		{"device", on + "LOSCFG_MEM_HEAD_BACKUP=y\nLOSCFG_KERNEL_SMP=y\n# LOSCFG_SHELL is not set\n", nil, heapwright.Config{HeadBackup: true}, "2 symbols are not in the menu and have no effect, the first is LOSCFG_KERNEL_SMP in line 4", ""},
		{"record", on + "LOSCFG_MEM_RECORDINFO=y\n", nil, heapwright.Config{}, "LOSCFG_MEM_RECORDINFO has no effect on heapwright pools", ""},
		{"environment", "", []string{"HEAPWRIGHT_MEM_LEAKCHECK=y"}, heapwright.Config{LeakCheck: true, OmitLR: 2, RecordLR: 3}, "switches on LOSCFG_DEBUG_VERSION and LOSCFG_MEM_DEBUG, too", ""},
		{"environment number", "", []string{"HEAPWRIGHT_LOS_RECORD_LR_CNT=5", "HEAPWRIGHT_MEM_LEAKCHECK=y"}, heapwright.Config{LeakCheck: true, OmitLR: 2, RecordLR: 5}, "switches on", ""},
		{"environment level", "", []string{"HEAPWRIGHT_CHECK_LEVEL_HIGH=y"}, heapwright.Config{SizeCheck: heapwright.CheckHigh}, "switches on LOSCFG_DEBUG_VERSION and LOSCFG_MEM_DEBUG and LOSCFG_BASE_MEM_NODE_SIZE_CHECK, too", ""},
		{"environment contradicts", "", []string{"HEAPWRIGHT_DEBUG_VERSION=n", "HEAPWRIGHT_MEM_LEAKCHECK=y"}, heapwright.Config{}, "", "HEAPWRIGHT_MEM_LEAKCHECK=y in the environment contradicts another variable: LOSCFG_MEM_LEAKCHECK needs LOSCFG_MEM_DEBUG, which needs LOSCFG_DEBUG_VERSION"},
		{"environment chooses", "", []string{"HEAPWRIGHT_ON_FINDING_PANIC=y", "HEAPWRIGHT_ON_FINDING_REPORT=n"}, heapwright.Config{Policy: heapwright.Panic}, "", ""},
		{"environment chooses two", "", []string{"HEAPWRIGHT_ON_FINDING_PANIC=y", "HEAPWRIGHT_ON_FINDING_REPORT=y"}, heapwright.Config{}, "", "HEAPWRIGHT_ON_FINDING_PANIC=y in the environment contradicts another variable: they exclude each other"},
		{"environment names twice", on, []string{"HEAPWRIGHT_MEM_LEAKCHECK=y", "HEAPWRIGHT_LOSCFG_MEM_LEAKCHECK=n"}, heapwright.Config{}, "", "contradicts another variable"},
		{"environment takes away", on + "LOSCFG_MEM_LEAKCHECK=y\n", []string{"HEAPWRIGHT_DEBUG_VERSION=n"}, heapwright.Config{}, "HEAPWRIGHT_DEBUG_VERSION=n in the environment switches off LOSCFG_MEM_DEBUG and LOSCFG_MEM_LEAKCHECK, too", ""},
		{"environment of two lines", "", []string{"HEAPWRIGHT_POOL_NAME=a\nb"}, heapwright.Config{}, "", "HEAPWRIGHT_POOL_NAME is a string of one line"},
		{"twice the same", on + "LOSCFG_MEM_DEBUG=y\n", nil, heapwright.Config{}, "", ""},
		{"twice", on + "# LOSCFG_MEM_DEBUG is not set\n", nil, heapwright.Config{}, "", "LOSCFG_MEM_DEBUG was set in line 2 already"},
		{"Windows", "\ufeff" + strings.ReplaceAll(on, "\n", "\r\n") + "LOSCFG_MEM_LEAKCHECK=y\r\n", nil, heapwright.Config{LeakCheck: true, OmitLR: 2, RecordLR: 3}, "", ""},
		{"environment off", on + "LOSCFG_MEM_LEAKCHECK=y\n", []string{"HEAPWRIGHT_LOSCFG_MEM_LEAKCHECK=n", "HEAPWRIGHT_MAX_MIB=8"}, heapwright.Config{MaxSize: 8 << 20}, "", ""},
		{"environment unknown", "", []string{"HEAPWRIGHT_LEEK=y", "PATH=/bin"}, heapwright.Config{}, "HEAPWRIGHT_LEEK in the environment has no effect", ""},
		{"environment wrong", "", []string{"HEAPWRIGHT_MAX_MIB=lots"}, heapwright.Config{}, "", "is not a decimal number"},
		{"environment alone", "", []string{"HEAPWRIGHT_LOS_RECORD_LR_CNT=5"}, heapwright.Config{}, "", "LOS_RECORD_LR_CNT needs LOSCFG_MEM_LEAKCHECK, which needs LOSCFG_MEM_DEBUG, which needs LOSCFG_DEBUG_VERSION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.config")
			if err := os.WriteFile(path, []byte(c.file), 0o666); err != nil {
				t.Fatal(err)
			}
			cfg, warnings, err := load("", append([]string{FileVariable + "=" + path}, c.env...))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cfg.OnFinding = nil
			if d := cmp.Diff(c.want, cfg); d != "" {
				t.Error(d)
			}
			if all := strings.Join(warnings, "\n"); (c.warn == "") != (all == "") || !strings.Contains(all, c.warn) {
				t.Errorf("warnings %q, want %q", all, c.warn)
			}
		})
	}
	if _, _, err := load(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := load("", []string{"HEAPWRIGHT_CONFIG=none"}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "HEAPWRIGHT_CONFIG in the environment") {
		t.Errorf("a missing file that the environment names: %v", err)
	}
}

func TestOverride(t *testing.T) {
	own := heapwright.Config{Name: "x", MaxSize: 1 << 20, LeakCheck: true, RecordLR: 2, SizeCheck: heapwright.CheckHigh, Policy: heapwright.Panic}
	cfg, warnings, err := override(own, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := own
	want.OmitLR = heapwright.DefaultOmitLR
	if d := cmp.Diff(want, cfg); d != "" {
		t.Error(d)
	}
	own = heapwright.Config{Name: "two\nlines", OmitLR: 3, RecordLR: heapwright.None, MaxSize: 1<<20 + 4096}
	cfg, _, err = override(own, []string{"HEAPWRIGHT_MEM_LEAKCHECK=y"})
	want = own
	want.LeakCheck = true
	if d := cmp.Diff(want, cfg); d != "" || err != nil {
		t.Error(d, err)
	}
	own = heapwright.Config{Name: "x", MaxSize: 1 << 20, LeakCheck: true, SizeCheck: heapwright.CheckHigh}
	cfg, _, err = override(own, []string{"HEAPWRIGHT_MEM_LEAKCHECK=n", "HEAPWRIGHT_MEM_HEAD_BACKUP=y", "HEAPWRIGHT_MAX_MIB=2"})
	want = heapwright.Config{Name: "x", MaxSize: 2 << 20, HeadBackup: true, SizeCheck: heapwright.CheckHigh}
	if d := cmp.Diff(want, cfg); d != "" || err != nil {
		t.Error(d, err)
	}
}
