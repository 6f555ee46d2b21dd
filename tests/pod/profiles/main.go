// Writes the default seccomp profiles of Docker and containerd, as their own code makes them for a
// container without capabilities on this machine: profiles FOLDER
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	containerd "github.com/containerd/containerd/v2/contrib/seccomp"
	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}
	ofDocker, err := docker.GetDefaultProfile(spec)
	if err != nil {
		log.Fatal(err)
	}
	profiles := map[string]*specs.LinuxSeccomp{
		"docker":     ofDocker,
		"containerd": containerd.DefaultProfile(spec),
	}
	for name, profile := range profiles {
		text, err := json.Marshal(profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], name+".json"), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
