// What a program and its guest keep while they take turns: each its translations and translated
// code; and what each changes of the other's code.
#include "cpu/svm/operation.h"
#include "cpu/vmx/operation.h"
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

struct Work {
    std::uint64_t walks = 0, blocks = 0;
    bool operator==(const Work&) const = default;
};

Work work_of(Core& core) {
    REQUIRE(core.other_engine() != nullptr);
    return {core.counters().walks, core.engine().counters().blocks_translated +
                                       core.other_engine()->counters().blocks_translated};
}

template <typename Extension>
void check_round_trips(const std::string& name, const std::string& model) {
    CAPTURE(name);
    Options options;
    options.model = model;
    Machine m(name, options);
    Extension operation(m.core());
    m.core().set_virtualization(&operation);
    std::vector<Work> work;
    m.bus.on_port_write = [&](std::uint16_t, std::uint32_t) { work.push_back(work_of(m.core())); };
    CHECK(m.run(20 * sim::kMillisecond) == End::halted);
    INFO(m.story());
    CHECK(m.result(0) == 300);
    REQUIRE(work.size() == 3);
    CHECK(work[2] == work[1]);
    for (unsigned i = 0; i < 3; ++i) {
        CHECK(m.result(8 + i) == i + 1);
        CHECK(m.result(16 + i) == (i + 1) << 4);
    }
}

}  // namespace

TEST_CASE("round trips under VT-x need neither walks nor translation, and see changed code") {
    check_round_trips<vmx::Operation>("round_trips_vmx", "intel-skylake");
}

TEST_CASE("round trips under AMD-V need neither walks nor translation, and see changed code") {
    check_round_trips<svm::Operation>("round_trips_svm", "amd-rome");
}
