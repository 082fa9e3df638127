//go:build unix

package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the system user that the server runs as.
type account struct {
	name     string
	uid, gid uint32
	drop     bool // the caller is root and must become this user
}

// serverAccount is the caller, or for root `postgres`, or else `nobody`.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU != nil || errG != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`; " +
		"run Ingle as an ordinary user or give it a database URL")
}

// attributes start a child as the account, in a process group of its own so that Ctrl-C in the terminal reaches only
// Ingle, which ends the server after its own clients.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own hands a file or an empty folder to the account.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("giving %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// home makes the server's folder and returns its resolved absolute path.
//
// Under a folder that the account may not enter (root's 0700 home, say) no PostgreSQL can work. The files then live in
// /var/lib/ingle under a random name, and dir becomes a symbolic link to them, so that the link remains the handle:
// who removes it starts afresh.
func (a account) home(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("the folder of the private PostgreSQL: %w", err)
	}
	mode := os.FileMode(0o700)
	if a.drop {
		mode = 0o711
	}
	// Only the last folder has the narrow mode; its parents may hold other things.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("the folder of the private PostgreSQL: %w", err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", dir)
	} else if errors.Is(err, os.ErrNotExist) {
		if err := a.makeHome(dir, mode); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", fmt.Errorf("the folder of the private PostgreSQL: %w", err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("the folder of the private PostgreSQL: %w", err)
	}
	if err := os.Chmod(real, mode); err != nil {
		return "", fmt.Errorf("the folder of the private PostgreSQL: %w", err)
	}
	return real, a.canReach(real)
}

func (a account) makeHome(dir string, mode os.FileMode) error {
	if a.canReach(filepath.Dir(dir)) == nil {
		if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("the folder of the private PostgreSQL: %w", err)
		}
		return nil
	}
	const elsewhere = "/var/lib/ingle"
	if err := os.MkdirAll(elsewhere, 0o755); err != nil {
		return fmt.Errorf("PostgreSQL runs as %s, who may not enter %s: %w", a.name, filepath.Dir(dir), err)
	}
	real, err := os.MkdirTemp(elsewhere, "postgres-")
	if err != nil {
		return fmt.Errorf("PostgreSQL runs as %s, who may not enter %s: %w", a.name, filepath.Dir(dir), err)
	}
	if err := os.Symlink(real, dir); err != nil {
		_ = os.Remove(real)
		return fmt.Errorf("linking %s to %s: %w", dir, real, err)
	}
	return nil
}

// cacheDir is where fetched binaries stay.
func (a account) cacheDir(asked string) (string, error) {
	if asked != "" {
		return filepath.Abs(asked)
	}
	if a.drop {
		return "/var/lib/ingle/binaries", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place to keep fetched binaries: %w", err)
	}
	return filepath.Join(dir, "ingle", "postgres"), nil
}

// canReach tells whether the account may enter every folder down to path. Access lists beyond the mode bits are not
// looked at: the worst case is PostgreSQL's own, later message.
func (a account) canReach(path string) error {
	if !a.drop {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	for dir := real; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", dir, err)
		}
		need := os.FileMode(0o001)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			switch {
			case st.Uid == a.uid:
				need = 0o100
			case st.Gid == a.gid:
				need = 0o010
			}
		}
		if info.Mode().Perm()&need == 0 {
			return fmt.Errorf("as root Ingle runs PostgreSQL as user %s, who may not enter %s (mode %04o, needed for %s); "+
				"choose another place, allow it with chmod o+x, or give Ingle a database URL",
				a.name, dir, info.Mode().Perm(), path)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
