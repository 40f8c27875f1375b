// Machine-check MSRs.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("machine-check banks keep and refuse what the manuals say") {
    for (const Model& model : models()) {
        CAPTURE(model.name);
        const bool amd = model.vendor == Vendor::amd;
        Machine m("machine_check", {.model = std::string(model.name)});
        m.poke(DATA + 0x800, model.machine_check_banks);
        m.poke(DATA + 0x808, amd ? 1 : 0);
        CHECK(m.run() == End::halted);
        std::vector<Fault> faults;
        for (const char* refused :
             {"capabilities", "status_reserved", "control_some", "control_not_canonical",
              "status_one", "beyond_read", "beyond_write"})
            faults.push_back({refused, kGP});
        if (!amd) faults.push_back({"no_control", kGP});
        check_faults(m, faults);
        CHECK(m.result(0) == (model.machine_check_banks | (amd ? 0x100u : 0u)));
        CHECK(m.result(1) == model.machine_check_banks);
        if (amd) CHECK(m.result(2) == 1);
    }
}
