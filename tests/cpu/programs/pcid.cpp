// PCIDs and INVPCID.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

constexpr std::uint64_t kHasPcid = DATA + 0x800, kWide = DATA + 0x808;

}  // namespace

TEST_CASE("PCIDs and INVPCID refuse what the manual says, and invalidate") {
    for (const char* model : {"intel-broadwell", "intel-cascadelake", "amd-milan"}) {
        CAPTURE(model);
        Machine m("pcid", {.model = model});
        m.poke(kHasPcid, 1);
        m.poke(kWide, find_model(model)->physical_address_bits > 46 ? 1 : 0);
        CHECK(m.run() == End::halted);
        const bool wide = m.core().model().physical_address_bits > 46;
        std::vector<Fault> faults;
        for (const char* refused : {"low_bits_set", "no_flush_without", "address_pcid_without",
                                    "one_pcid_without", "reserved_high"})
            faults.push_back({refused, kGP});
        if (!wide) faults.push_back({"reserved_address", kGP});
        for (const char* refused :
             {"reserved_both", "type_reserved", "type_wide", "descriptor_reserved",
              "descriptor_reserved_all", "not_canonical"})
            faults.push_back({refused, kGP});
        faults.push_back({"not_present", kPF});
        faults.push_back({"register_form", kUD});
        faults.push_back({"no_prefix", kUD});
        faults.push_back({"user_invpcid", kGP});
        check_faults(m, faults);
        CHECK(m.result(0) == 0xb);
        CHECK(m.result(1) == cr4::kPCIDE);
        CHECK(m.result(2) == PML4 + 5);
        CHECK(m.result(3) == PML4 + 6);
        for (unsigned i = 4; i <= 10; ++i) {
            CAPTURE(i);
            CHECK(m.result(i) == 0xb);
        }
    }
}

TEST_CASE("a processor without PCIDs has neither CR4.PCIDE nor INVPCID") {
    for (const char* model : {"amd-naples", "amd-rome"}) {
        Machine m("pcid", {.model = model});
        CHECK(m.run() == End::halted);
        check_faults(m, {{"absent_pcide", kGP}, {"absent_invpcid", kUD}});
    }
}
