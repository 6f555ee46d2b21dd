// Says what PodSecurity's level "restricted" forbids in workloads, by the API server's own checks.
//
//	security < manifests.yaml
//
// One line for each workload that would be refused, and exit code 1; else how many it has looked
// at.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// workload is what Deployment, StatefulSet, DaemonSet and Job have in common.
type workload struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Template *corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	must(err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	looked, refused := 0, 0
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		must(err)
		found := workload{}
		must(yaml.Unmarshal(document, &found))
		template := found.Spec.Template
		if template == nil {
			continue
		}
		looked++
		results := evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec)
		result := policy.AggregateCheckResults(results)
		if !result.Allowed {
			refused++
			reason, detail := result.ForbiddenReason(), result.ForbiddenDetail()
			fmt.Printf("%s %s: %s: %s\n", found.Kind, found.Name, reason, detail)
		}
	}
	if refused > 0 {
		os.Exit(1)
	}
	fmt.Println(looked)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
