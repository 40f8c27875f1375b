// Guest programs on the bare processor whose headers say what must come of them.
#include "cpu/svm/operation.h"
#include "cpu/vmx/operation.h"
#include "tests/cpu/programs/virtualization.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

template <typename Extension>
void check_bare_program(const std::string& name, const std::string& model) {
    CAPTURE(model);
    Options options;
    options.model = model;
    Machine m(name, options);
    Extension extension(m.core());
    m.core().set_virtualization(&extension);
    const std::vector<Expectation> header = read_header(name);
    std::string text;
    if (m.run(20 * sim::kMillisecond) != End::halted) text = "another end\n" + m.story();
    text += log_differences(m, header);
    CHECK_MESSAGE(text.empty(), name << "\n" << text);
}

}  // namespace

TEST_CASE("bare programs leave what their headers say, on processors of both vendors") {
    for (const std::string& name : programs_in("bare")) {
        check_bare_program<vmx::Operation>(name, "intel-skylake");
        check_bare_program<svm::Operation>(name, "amd-milan");
    }
}
