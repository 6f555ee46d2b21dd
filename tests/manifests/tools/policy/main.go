// Applies the admission policies of a file to one pod, as the API server does: with its own code,
// and without a server.
//
//	policy POLICY.yaml < pod.yaml
//
// Prints the pod that comes out; or, with exit code 1, the sentence that refuses it. What the
// server would fail at (an expression that does not compile, a panic) ends it with 2.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

var (
	kind     = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	resource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	scheme   = runtime.NewScheme()
)

func main() {
	if err := corev1.AddToScheme(scheme); err != nil {
		stumble(err)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		stumble(err)
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		stumble(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(input, pod); err != nil {
		stumble(err)
	}
	for _, document := range documents(text) {
		meta := metav1.TypeMeta{}
		must(yaml.Unmarshal(document, &meta))
		switch meta.Kind {
		case "MutatingAdmissionPolicy":
			policy := admissionregistration.MutatingAdmissionPolicy{}
			must(yaml.UnmarshalStrict(document, &policy))
			pod = mutate(policy, pod)
		case "ValidatingAdmissionPolicy":
			policy := admissionregistration.ValidatingAdmissionPolicy{}
			must(yaml.UnmarshalStrict(document, &policy))
			validate(policy, pod)
		case "MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBinding":
		default:
			stumble(fmt.Errorf("%s holds a %s", os.Args[1], meta.Kind))
		}
	}
	out, err := yaml.Marshal(pod)
	must(err)
	os.Stdout.Write(out)
}

func documents(text []byte) [][]byte {
	reader, found := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))), [][]byte{}
	for {
		document, err := reader.Read()
		if err == io.EOF {
			return found
		}
		must(err)
		found = append(found, document)
	}
}

// matches tells whether the policy is about this pod at all.
func matches(constraints *admissionregistration.MatchResources, pod *corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(constraints.ObjectSelector)
	must(err)
	about := func(rule admissionregistration.NamedRuleWithOperations) bool {
		return slices.Contains(rule.Resources, "pods") &&
			slices.Contains(rule.Operations, admissionregistration.Create)
	}
	return selector.Matches(labels.Set(pod.Labels)) &&
		slices.ContainsFunc(constraints.ResourceRules, about)
}

func compiled(
	variables []admissionregistration.Variable, mutates bool,
) (*plugincel.CompositedCompiler, plugincel.OptionalVariableDeclarations) {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	compiler, err := plugincel.NewCompositedCompiler(base)
	must(err)
	options := plugincel.OptionalVariableDeclarations{}
	accessors := make([]plugincel.NamedExpressionAccessor, len(variables))
	for i, variable := range variables {
		accessors[i] = &validating.Variable{Name: variable.Name, Expression: variable.Expression}
	}
	compiler.CompileAndStoreVariables(accessors, options, environment.NewExpressions)
	options.HasPatchTypes = mutates
	return compiler, options
}

func attributes(pod *corev1.Pod) *admission.VersionedAttributes {
	attributes := admission.NewAttributesRecord(
		pod, nil, kind, "default", pod.Name, resource, "",
		admission.Create, &metav1.CreateOptions{}, false, nil,
	)
	return &admission.VersionedAttributes{
		Attributes: attributes, VersionedObject: pod, VersionedKind: kind,
	}
}

func mutate(policy admissionregistration.MutatingAdmissionPolicy, pod *corev1.Pod) *corev1.Pod {
	if !matches(policy.Spec.MatchConstraints, pod) {
		return pod
	}
	compiler, options := compiled(policy.Spec.Variables, true)
	for _, mutation := range policy.Spec.Mutations {
		accessor := &patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression}
		patcher := patch.NewJSONPatcher(
			compiler.CompileMutatingEvaluator(accessor, options, environment.NewExpressions),
		)
		request := patch.Request{
			MatchedResource: resource, VersionedAttributes: attributes(pod),
			ObjectInterfaces: admission.NewObjectInterfacesFromScheme(scheme),
		}
		background := compiler.CreateContext(context.Background())
		patched, err := patcher.Patch(background, request, celconfig.RuntimeCELCostBudget)
		must(err)
		pod = patched.(*corev1.Pod)
	}
	return pod
}

func validate(policy admissionregistration.ValidatingAdmissionPolicy, pod *corev1.Pod) {
	if !matches(policy.Spec.MatchConstraints, pod) {
		return
	}
	compiler, options := compiled(policy.Spec.Variables, false)
	evaluate := func(accessor plugincel.ExpressionAccessor) plugincel.EvaluationResult {
		condition := compiler.CompileCondition(
			[]plugincel.ExpressionAccessor{accessor}, options, environment.NewExpressions,
		)
		versioned := attributes(pod)
		request := plugincel.CreateAdmissionRequest(
			versioned.Attributes,
			metav1.GroupVersionResource(resource), metav1.GroupVersionKind(kind),
		)
		results, _, err := condition.ForInput(
			compiler.CreateContext(context.Background()), versioned, request,
			plugincel.OptionalVariableBindings{}, nil, celconfig.RuntimeCELCostBudget,
		)
		must(err)
		must(results[0].Error)
		return results[0]
	}
	for _, validation := range policy.Spec.Validations {
		holds := &validating.ValidationCondition{Expression: validation.Expression}
		if evaluate(holds).EvalResult.Value() == true {
			continue
		}
		message := validation.Message
		if validation.MessageExpression != "" {
			told := &validating.MessageExpressionCondition{
				MessageExpression: validation.MessageExpression,
			}
			message = fmt.Sprint(evaluate(told).EvalResult.Value())
		}
		fmt.Println(message)
		os.Exit(1)
	}
}

func must(err error) {
	if err != nil {
		stumble(err)
	}
}

func stumble(err error) {
	fmt.Fprintln(os.Stderr, "policy:", err)
	os.Exit(2)
}
