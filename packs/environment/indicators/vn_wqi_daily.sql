---
title:
  vi: VN_WQI ngày
  en: Daily VN_WQI
words:
  vi: >-
    Chỉ số chất lượng nước Việt Nam của từng ngày có số liệu tại điểm quan trắc, tính từ trung bình
    ngày của từng thông số (một mẫu thì lấy mẫu đó). Thông số chia năm nhóm: I pH; II hóa chất bảo vệ
    thực vật; III kim loại nặng; IV hữu cơ và dinh dưỡng (DO, BOD₅, COD, TOC, N-NH₄, N-NO₃, N-NO₂,
    P-PO₄); V vi sinh. VN_WQI là tích của nhóm I, trung bình nhân nhóm II, trung bình nhân nhóm III
    (mỗi nhóm chia 100; nhóm không đo coi như bằng 1) với căn bậc ba của bình phương trung bình nhóm
    IV nhân trung bình nhóm V; không có nhóm V thì lấy trung bình nhóm IV. Cần ít nhất 3 trong 5
    nhóm và ít nhất 3 thông số nhóm IV; DO phải có nhiệt độ nước. Làm tròn đến số nguyên, nửa làm tròn
    lên.
  en: >-
    The Vietnamese water quality index of each day with data at a place of sampling, from the day's
    mean of each parameter (of one sample, the sample). The parameters are in five groups: I pH; II
    pesticides; III heavy metals; IV organics and nutrients (DO, BOD₅, COD, TOC, N-NH₄, N-NO₃, N-NO₂,
    P-PO₄); V bacteria. VN_WQI is the product of group I, the geometric mean of group II, that of
    group III (each over 100; a group not measured counts as 1) and the cube root of the squared mean
    of group IV times the mean of group V; without group V, the mean of group IV. It needs 3 of the 5
    groups and 3 parameters of group IV; DO needs the water's temperature. Rounded to a whole number,
    halves up.
source: Quyết định 1460/QĐ-TCMT ngày 12/11/2019
verify:
  vi: >-
    Bảng giá trị BPi và điều kiện về số nhóm, số thông số chưa được đối chiếu với bản chính Quyết
    định 1460/QĐ-TCMT; số mẫu cần có trong ngày cũng chưa được xác nhận.
  en: >-
    The table of break points and the number of groups and parameters required have not been compared
    with the original of Decision 1460/QĐ-TCMT; nor has anybody confirmed how many samples a day needs.
inputs:
  surface_water: [ph, temperature, do, bod5, cod, toc, nh4, no3, no2, po4, coliform, ecoli,
    arsenic, cadmium, lead, chromium6, copper, zinc, mercury,
    aldrin, bhc, dieldrin, ddt, heptachlor]
key: [station]
period: {grain: day, zone: Asia/Ho_Chi_Minh}
freshness: P40D
better: higher
outputs:
  wqi:
    title: {vi: VN_WQI, en: VN_WQI}
    unit: "1"
    decimals: 0
  wqi_class:
    title: {vi: Mức chất lượng nước, en: Class of water quality}
    better: higher
    unit: "1"
    decimals: 0
    labels:
      0: {vi: Ô nhiễm rất nặng, en: Very heavily polluted}
      1: {vi: Kém, en: Poor}
      2: {vi: Xấu, en: Bad}
      3: {vi: Trung bình, en: Moderate}
      4: {vi: Tốt, en: Good}
      5: {vi: Rất tốt, en: Very good}
  # What is missing to clean water: a limit is passed by what lies above it.
  lack:
    title: {vi: Thiếu so với 100, en: Short of 100}
    better: lower
    unit: "1"
    decimals: 0
  group_1: {title: {vi: Nhóm I (pH), en: Group I (pH)}, unit: "1", decimals: 1}
  group_2: {title: {vi: Nhóm II (thuốc bảo vệ thực vật), en: Group II (pesticides)}, unit: "1", decimals: 1}
  group_3: {title: {vi: Nhóm III (kim loại nặng), en: Group III (heavy metals)}, unit: "1", decimals: 1}
  group_4: {title: {vi: Nhóm IV (hữu cơ và dinh dưỡng), en: Group IV (organics and nutrients)}, unit: "1", decimals: 1}
  group_5: {title: {vi: Nhóm V (vi sinh), en: Group V (bacteria)}, unit: "1", decimals: 1}
# The classes are the Decision's; from which class on somebody is called is the province's choice.
thresholds:
  - output: lack
    above: 49
    valid: {from: 2019-11-12}
    severity: warning
    title: {vi: Chất lượng nước mặt xấu, en: Bad surface water}
    source: Quyết định 1460/QĐ-TCMT, mức “Xấu” (26–50)
    verify: true
  - output: lack
    above: 74
    valid: {from: 2019-11-12}
    severity: urgent
    title: {vi: Chất lượng nước mặt kém, en: Poor surface water}
    source: Quyết định 1460/QĐ-TCMT, mức “Kém” (10–25)
    verify: true
---
SELECT station, time, wqi, wqi_class, 100 - wqi AS lack,
       group_1, group_2, group_3, group_4, group_5
FROM vn_wqi_daily((SELECT stream, time, value FROM surface_water WHERE usable))
